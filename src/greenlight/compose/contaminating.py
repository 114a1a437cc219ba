"""Which questions of a run stand in the text that the model was trained on? Looked for, and recorded in the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from greenlight.compose.exam import redraw
from greenlight.compose.tasks import run_tasks
from greenlight.engine.answering import PLAIN
from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, alone, read_json, read_lines, sha256_file, write_json
from greenlight.gate.contamination import FILE
from greenlight.gate.lock import read_lock
from greenlight.measure.contamination import LEAST_WORDS, RUN_WORDS, Overlap

_PIECE = 2**20


def contaminate(folder: Path, texts: Sequence[Path]) -> dict[str, JSON]:
    """Look for the questions of a run in training texts; writes contamination.json, which `decide` reads.

    Args:
        folder: a run.
        texts: files of text, read as UTF-8; of JSON Lines or other formats the words are what is looked at.

    Raises:
        EvidenceError: there is no such run, or a file cannot be read.
    """
    if not texts:
        raise EvidenceError(
            "no training text was given", where=str(folder), do="name at least one: --training-text FILE"
        )
    lock = read_lock(folder / "lock.json")
    _check_earlier(folder / FILE, [sha256_file(path) for path in texts])
    suites = _questions(folder, lock)
    overlap = Overlap({name: text for questions in suites.values() for name, text in questions.items()})
    for path in texts:
        overlap.read(_pieces(path))
    shares = overlap.shares()
    value: dict[str, JSON] = {
        "format": "greenlight.contamination/1",
        "lock": lock["id"],
        "run_words": RUN_WORDS,
        "least_words": LEAST_WORDS,
        "texts": [{"name": path.name, "sha256": sha256_file(path), "bytes": path.stat().st_size} for path in texts],
        "suites": {name: _counts([shares[item] for item in questions]) for name, questions in suites.items()},
        "items": {item: share for questions in suites.values() for item in questions for share in [shares[item]]},
    }
    with alone(folder):
        write_json(folder / FILE, value)
    return value


def _check_earlier(path: Path, digests: Sequence[str]) -> None:
    """Refuse to look in other texts than before: what one of them showed would be gone without a trace."""
    if not path.exists():
        return
    earlier = {text["sha256"] for text in read_json(path, "contamination")["texts"]}
    if not earlier <= set(digests):
        raise EvidenceError(
            "this run was looked for in another text before",
            where=str(path),
            found=f"{len(earlier - set(digests))} of its texts left out now",
            do="name the earlier texts as well as the new ones",
        )


def _counts(shares: Sequence[float | None]) -> dict[str, JSON]:
    told = [share for share in shares if share is not None]
    return {
        "n": len(shares),
        "told": len(told),
        "seen": sum(share > 0 for share in told),
        "overlap": sum(told) / len(told) if told else None,
    }


def _questions(folder: Path, lock: Mapping[str, JSON]) -> dict[str, dict[str, str]]:
    """What each item asks, by suite and id; withheld texts are drawn again from the lock."""
    drawn = redraw(lock, run_tasks(folder, lock))
    found: dict[str, dict[str, str]] = {}
    for entry in lock["suites"]:
        name = entry["suite"]
        items = drawn.get(name) or read_lines(folder / "items" / f"{name}.jsonl", "items")[1]
        found[name] = {item["id"]: _asked(item) for item in items if item["messages"] is not None}
    return found


def _asked(item: Mapping[str, JSON]) -> str:
    """The question itself: of a plain text what stands after the solved examples."""
    last = item["messages"][-1]
    text = str(last["content"])
    own = text.rpartition("\n\n")[2] if last["role"] == PLAIN else text
    return own if len(own.split()) >= LEAST_WORDS else text


def _pieces(path: Path) -> Iterator[str]:
    """A file's text, a piece at a time, cut between words; a word longer than a piece is cut."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            rest = ""
            while piece := file.read(_PIECE):
                text = rest + piece
                cut = max(text.rfind(" "), text.rfind("\n")) + 1
                if not cut and len(text) > _PIECE:
                    cut = len(text)
                yield text[:cut]
                rest = text[cut:]
            yield rest
    except OSError as error:
        raise EvidenceError("a training text cannot be read", where=str(path), found=str(error)) from error
