"""Which command comes next, as this user would type it? With the model, policy and ledger that they named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from greenlight.evidence import JSON, read_json

if TYPE_CHECKING:
    from greenlight.gate.policy import Policy

_MODEL = re.compile(r"greenlight (review|plan|assess|inspect) (.+?)(?= --|$)")
"""A command that names the model, and how it names it."""

_PLACEHOLDER = "./FILE.gguf"
"""What stands for another model than the one that was judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What the user named on the command line; nothing of it is in the decision, which is the same for everybody."""

    ref: str | None = None
    """The model."""

    policy: str | None = None
    """The policy that the run is judged under, where it was named."""

    ledger: Path | None = None
    """The release's ledger."""

    release_of: str | None = None
    """Which release it is about."""

    sampling: tuple[str, ...] = ()
    """Options that say how the model is asked, as typed."""

    models: tuple[str, ...] = ()
    """Options that say where models are and what computes them, as typed."""

    include_harmful: bool = False
    """Whether the text of harmful prompts is kept."""

    @property
    def book(self) -> tuple[str, ...]:
        """The ledger's options, as typed."""
        release = () if self.release_of is None else ("--release-of", self.release_of)
        return () if self.ledger is None else ("--ledger", str(self.ledger), *release)


def open_references(policy: Policy) -> tuple[str, ...]:
    """Options for the references that a policy leaves to whoever locks: REF is theirs to fill in."""
    named = (reference.name for reference in policy.references if reference.model == "?")
    return tuple(word for name in named for word in ("--reference", f"{name}=REF"))


def words(*parts: str | Path) -> str:
    """A command that a shell reads as it is meant."""
    return shlex.join(map(str, parts))


def decide_command(folder: Path | str, ledger: Path | str | None = None) -> str:
    """How a run is decided; of an exam that a ledger counted with that ledger, which the run does not name."""
    counted = read_json(Path(folder) / "lock.json", "lock")["attempt"] is not None
    book = str(ledger) if ledger is not None else "LEDGER" if counted else None
    return words("greenlight", "decide", folder, *(() if book is None else ("--ledger", book)))


def next_command(command: str, decision: Mapping[str, JSON], folder: Path | str, given: Given) -> str:
    """A row's next command with what this user named: RUN is the run's folder, the model is called as they call it."""
    found = _MODEL.match(command)
    verb = command.split(" ")[1] if command.startswith("greenlight ") else ""
    if found and found[2] == _PLACEHOLDER:
        return command
    if found:
        model = shlex.quote(given.ref or _model(decision, found[2], Path(folder)))
        command = f"{command[: found.start(2)]}{model}{command[found.end(2) :]}"
    command = re.sub(r"\bRUN\b", lambda _: shlex.quote(str(folder)), command)
    added = _added(verb, decision, Path(folder), given)
    return f"{command} {words(*added)}" if added else command


def _added(verb: str, decision: Mapping[str, JSON], folder: Path, given: Given) -> tuple[str, ...]:
    """What a verb needs beside its own options to be about the same release."""
    policy = _policy(decision, folder, given)
    match verb:
        case "review":
            harmful = ("--include-harmful",) if given.include_harmful else ()
            return (*policy, *given.sampling, *given.models, *harmful, *given.book)
        case "plan":
            return policy
        case "assess":
            return (*given.models, *(("--include-harmful",) if given.include_harmful else ()))
        case "label":
            return () if given.ledger is None else ("--ledger", str(given.ledger))
    return ()


def _policy(decision: Mapping[str, JSON], folder: Path, given: Given) -> tuple[str, ...]:
    """The policy of the verdict: as it was named, a shipped one by its name, else the text that the run keeps."""
    from greenlight.gate.policy import load_policy, shipped

    if given.policy is not None:
        return ("--policy", given.policy)
    digest = decision["policy"]["sha256"]
    name = next((name for name in shipped() if load_policy(name).sha256 == digest), None)
    if name == "starter":
        return ()
    return ("--policy", name or str(folder / "policy.toml"))


def _model(decision: Mapping[str, JSON], named: str, folder: Path) -> str:
    """What names the model where the user did not: its name, an address, or the path where its files would lie here."""
    from greenlight.hub.catalog import catalog

    if "://" in named or named in catalog():
        return named
    files = list(read_json(folder / "lock.json", "lock")["model"].get("files", ()))
    return f"./{files[0]}" if len(files) == 1 else f"./{named}"
