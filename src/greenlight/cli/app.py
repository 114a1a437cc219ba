"""Which verbs are there, and what do they share? The typer app, how a verb is registered, how results are printed."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec

import typer

P = ParamSpec("P")

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="greenlight",
    help="Should this model ship? An answer with its evidence.",
    epilog="Start with:  greenlight review smollm2 --pull",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Ref = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="A catalog name, a path (contains / or ends in .gguf), hf:owner/name[@rev][#file], or http://host:port/v1#model.",
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON for programs.")]
Pull = Annotated[bool, typer.Option("--pull", help="Fetch the model first if it is not in the cache.")]


def verb(
    name: str, *, examples: str, aliases: tuple[str, ...] = ()
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Register a function as a verb; its help ends in commands to paste."""

    def register(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except KeyboardInterrupt:
                print("\ninterrupted; what was reported as done is on disk", file=sys.stderr)
                raise typer.Exit(EXIT_INTERRUPTED) from None

        app.command(name, epilog=examples)(run)
        for alias in aliases:
            app.command(alias, epilog=examples, hidden=True)(run)
        return function

    return register


def emit(value: Any, *, as_json: bool, text: Callable[[], str]) -> None:
    """Print a result: as JSON for programs, else as text for people."""
    print(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) if as_json else text())


def note(message: str) -> None:
    """Say something about progress, on stderr."""
    print(message, file=sys.stderr)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from greenlight import __version__

        print(f"greenlight {__version__}")
        raise typer.Exit
