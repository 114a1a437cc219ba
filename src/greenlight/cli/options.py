"""Which options do several verbs share? The settings that are released with a model, and where a run goes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from greenlight.compose.settings import Settings

System = Annotated[
    str | None,
    typer.Option(
        "--system", metavar="TEXT|@FILE", help="System prompt that is released with the model; @FILE reads a file."
    ),
]
Temperature = Annotated[float, typer.Option(help="Sampling temperature; 0 takes the most likely token.")]
TopK = Annotated[int, typer.Option(help="Keep the k most likely tokens; 0 keeps all.")]
TopP = Annotated[float, typer.Option(help="Keep the most likely tokens up to this probability.")]
MinP = Annotated[float, typer.Option(help="Drop tokens less likely than this share of the most likely one.")]
RepetitionPenalty = Annotated[float, typer.Option(help="Divide the logits of tokens already seen by this; 1 is off.")]
Policy = Annotated[str, typer.Option("--policy", help="A shipped policy (starter) or a TOML file.")]
PolicyOrLock = Annotated[
    str | None, typer.Option("--policy", help="A shipped policy or a TOML file; starter, where no lock fixes another.")
]
Minutes = Annotated[float | None, typer.Option(min=0.05, help="Time budget; rows it leaves open are INCONCLUSIVE.")]
IncludeHarmful = Annotated[
    bool,
    typer.Option("--include-harmful", help="Keep the text of harmful prompts in the evidence, not only id and hash."),
]
References = Annotated[
    list[str] | None,
    typer.Option("--reference", metavar="NAME=REF", help="Which model a reference of the policy is; may be repeated."),
]
Openness = Annotated[
    Path | None, typer.Option("--openness", metavar="FILE", help="openness.yml: what is released under which licence.")
]
Ledger = Annotated[
    Path | None, typer.Option("--ledger", metavar="FILE", help="The release's ledger: what happens is entered there.")
]
ReleaseOf = Annotated[
    str | None,
    typer.Option("--release-of", metavar="NAME", help="Which release the ledger is about; else the model's name."),
]
Ops = Annotated[str | None, typer.Option(help="native or numpy; the faster one that runs here by default.")]
Precision = Annotated[
    str,
    typer.Option(help="standard, or exact: twice the integers for activations, slower, hardly any rounding."),
]


def read_references(named: list[str] | None) -> dict[str, str]:
    """NAME=REF as given on the command line.

    Raises:
        UsageError: it is written otherwise, or names one twice.
    """
    from greenlight.errors import UsageError

    found: dict[str, str] = {}
    for text in named or ():
        name, equals, reference = text.partition("=")
        if not (name and equals and reference) or name in found:
            raise UsageError(
                "a reference is named otherwise", where=f"--reference {text}", do="write NAME=REF, once each"
            )
        found[name] = reference
    return found


def read_shard(text: str | None) -> tuple[int, int] | None:
    """K/N as given on the command line.

    Raises:
        UsageError: it is written otherwise.
    """
    from greenlight.errors import UsageError

    if text is None:
        return None
    number, slash, parts = text.partition("/")
    if not (slash and number.isdecimal() and parts.isdecimal() and len(text) < 12):
        raise UsageError("a part of an exam is written otherwise", where=f"--shard {text}", do="--shard 1/4")
    return int(number), int(parts)


def read_system(system: str | None) -> str | None:
    """The system prompt itself: the text, or what is in the file that @FILE names."""
    from greenlight.errors import UsageError

    if system is None or not system.startswith("@"):
        return system
    try:
        return Path(system[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "the system prompt cannot be read",
            where=system[1:] or "--system @",
            found=str(error),
            do="name a text file in UTF-8 after the @",
        ) from error


def settings(
    system: str | None, temperature: float, top_k: int, top_p: float, min_p: float, repetition_penalty: float
) -> Settings:
    """What is assessed besides the weights."""
    from greenlight.compose.settings import Settings
    from greenlight.engine import SamplingParams

    with usage_errors():
        sampling = SamplingParams(
            temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty
        )
    return Settings(read_system(system), sampling)


def typed_sampling(
    temperature: float, top_k: int, top_p: float, min_p: float, repetition_penalty: float
) -> tuple[str, ...]:
    """The settings of sampling that are not the usual ones, as they are typed."""
    usual = {"temperature": 0.0, "top-k": 0, "top-p": 1.0, "min-p": 0.0, "repetition-penalty": 1.0}
    values = (temperature, top_k, top_p, min_p, repetition_penalty)
    told = zip(usual.items(), values, strict=True)
    return tuple(word for (name, plain), value in told if value != plain for word in (f"--{name}", f"{value:g}"))


def computing(ops: str | None, precision: str) -> str | None:
    """Operations and precision as one name.

    Raises:
        UsageError: there is no such precision.
    """
    from greenlight.errors import UsageError

    if precision not in ("standard", "exact"):
        raise UsageError("no such precision", where="--precision", found=precision, do="use standard or exact")
    if precision == "standard":
        return ops
    name = ops or os.environ.get("GREENLIGHT_OPS") or "native"
    return name if name.endswith("+exact") else f"{name}+exact"


def typed_models(reference: list[str] | None, ops: str | None) -> tuple[str, ...]:
    """Where the references are and what computes, as it is typed."""
    named = tuple(word for text in reference or () for word in ("--reference", text))
    return named if ops is None else (*named, "--ops", ops)


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """An impossible value that was given as an option is bad usage."""
    from greenlight.errors import ConfigError, UsageError

    try:
        yield
    except ConfigError as error:
        raise UsageError(error.what, where="an option of this command", found=error.found, do=error.do) from error
