"""greenlight chat: talk to a model; answers stream, history is kept, Ctrl-C ends an answer and not the talk."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Pull, Ref, emit, note, verb

if TYPE_CHECKING:
    from greenlight.compose.conversation import Conversation

HELP = """/help            this list
/clear           forget the conversation
/system TEXT     start again under this system prompt
/undo            take the last exchange back
/seed N          the seed of the next answers
/exit            leave (also Ctrl-D); Ctrl-C ends an answer, not the talk"""


@verb("chat", examples='greenlight chat smollm2\n\necho "Name three colours." | greenlight chat smollm2')
def chat(
    ref: Ref,
    prompt: Annotated[str | None, typer.Option("-p", "--prompt", help="Answer this one prompt and leave.")] = None,
    system: options.System = None,
    max_tokens: Annotated[int, typer.Option(help="Tokens after which an answer ends.")] = 512,
    temperature: options.Temperature = 0.0,
    top_k: options.TopK = 0,
    top_p: options.TopP = 1.0,
    min_p: options.MinP = 0.0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the sampling noise.")] = 0,
    ops: options.Ops = None,
    precision: options.Precision = "standard",
    pull: Pull = False,
    as_json: AsJson = False,
) -> None:
    """Talk to a model; reads piped input."""
    from dataclasses import replace

    from greenlight.cli.view import TerminalView
    from greenlight.compose.conversation import Conversation
    from greenlight.compose.models import load
    from greenlight.errors import UsageError

    settings = options.settings(system, temperature, top_k, top_p, min_p, repetition_penalty)
    with options.usage_errors():
        sampling = replace(settings.sampling, max_tokens=max_tokens, seed=seed)
    with TerminalView("chat") as view:
        model = load(ref, pull=pull, ops=options.computing(ops, precision), observer=view).model
    talk = Conversation(model, settings.system, sampling)
    if prompt is None and not sys.stdin.isatty():
        prompt = _piped()
    if prompt is not None:
        if not prompt.strip():
            raise UsageError("there is nothing to answer", where="the prompt", do="give some text with -p or on stdin")
        _once(talk, prompt, as_json=as_json)
    else:
        _converse(talk, ref)


def _piped() -> str:
    from greenlight.errors import UsageError

    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError("the input is not UTF-8", where="stdin", found=str(error), do="pipe text in UTF-8") from error


def _once(talk: Conversation, prompt: str, *, as_json: bool) -> None:
    if as_json:
        answer = "".join(talk.say(prompt))
        emit({"prompt": prompt, "answer": answer, "finish": talk.finish}, as_json=True, text=str)
    else:
        _stream(talk, prompt)


def _stream(talk: Conversation, prompt: str) -> None:
    for text in talk.say(prompt):
        print(text, end="", flush=True)
    print()
    if talk.thought_only:
        note("[cut: it thought for as long as it may and did not answer]")
    elif talk.finish in {"length", "context"}:
        reason = "--max-tokens" if talk.finish == "length" else "the context is full; /clear starts again"
        note(f"[cut: {reason}]")


def _converse(talk: Conversation, ref: str) -> None:
    note(f"{ref} · /help lists commands")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            continue
        if line in {"/exit", "/quit"}:
            return
        if line.startswith("/"):
            _obey(talk, line)
        elif line:
            _answer(talk, line)


def _answer(talk: Conversation, line: str) -> None:
    from greenlight.errors import GreenlightError

    try:
        _stream(talk, line)
    except KeyboardInterrupt:
        print()
        note("[stopped]")
    except GreenlightError as error:
        note(f"error: {error}")


def _obey(talk: Conversation, line: str) -> None:
    from greenlight.errors import GreenlightError

    try:
        note(_command(talk, line))
    except GreenlightError as error:
        note(f"error: {error}")


def _command(talk: Conversation, line: str) -> str:
    name, _, argument = line.partition(" ")
    argument = argument.strip()
    if name == "/clear":
        talk.clear()
        return "forgotten"
    if name == "/system":
        talk.clear(system=argument)
        return "started again" + (" under the new system prompt" if argument else " without a system prompt")
    if name == "/undo":
        return "taken back" if talk.undo() else "nothing to take back"
    if name == "/seed" and argument.isdecimal():
        talk.seed(int(argument))
        return f"seed {argument}"
    return HELP if name == "/help" else f"there is no {line.split()[0]} like that\n{HELP}"
