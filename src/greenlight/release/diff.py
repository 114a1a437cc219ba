"""What is different between two bundles? Named in order of weight, from the verdict down to the machine's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, read_lines
from greenlight.release.difference import same
from greenlight.release.explanation import number, title
from greenlight.release.files import must_be_bundle
from greenlight.release.order import VERDICTS, Row
from greenlight.release.page.contents import Contents, read_contents

KINDS = (
    *("verdict", "lock", "policy", "model", "template", "settings", "suites", "judges"),
    *("row", "status", "limit", "number", "condition", "samples", "labels", "circumstance"),
)
"""What a difference can be of, the weightiest first."""

SHOWN = 5
"""Answers that a difference of samples names."""

_NUMBERS = ("value", "lower", "upper", "n_used", "n_planned")

Sample: TypeAlias = Mapping[str, JSON]


class Change(NamedTuple):
    """One difference."""

    kind: str
    """One of KINDS."""

    what: str
    """Which row, suite or setting."""

    left: str
    """What stands in the first bundle; empty where it is not there."""

    right: str
    """In the second."""


class Comparison(NamedTuple):
    """Two bundles side by side."""

    same_lock: bool
    """Whether both are runs of one exam."""

    changes: tuple[Change, ...]
    """What is different, the weightiest first."""

    circumstances: tuple[Change, ...]
    """When, where and by what they were made: said, and no difference of the evidence."""

    @property
    def same(self) -> bool:
        """Whether they say the same."""
        return not self.changes

    def to_json(self) -> dict[str, JSON]:
        """The same for programs."""
        return {
            "same": self.same,
            "same_lock": self.same_lock,
            "changes": [change._asdict() for change in self.changes],
            "circumstances": [change._asdict() for change in self.circumstances],
        }


def compare(left: Path | str, right: Path | str) -> Comparison:
    """Compare two decided runs; neither is verified by this.

    Raises:
        EvidenceError: a folder is no bundle, or a file of it is missing or damaged.
    """
    left, right = Path(left), Path(right)
    one, other = _read(left), _read(right)
    try:
        found = [*_fixed(one, other), *_rows(one, other), *_samples(one, other), *_labels(left, right)]
        circumstances = tuple(_circumstances(one, other))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise EvidenceError(
            "evidence has another shape than it should",
            where=f"{left}, {right}",
            found=f"{type(error).__name__}: {str(error)[:160]}",
            do="verify each of the two: greenlight verify",
        ) from error
    order = {kind: place for place, kind in enumerate(KINDS)}
    return Comparison(
        same_lock=one.lock["id"] == other.lock["id"],
        changes=tuple(sorted(found, key=lambda change: order[change.kind])),
        circumstances=circumstances,
    )


def _read(folder: Path) -> Contents:
    must_be_bundle(folder)
    return read_contents(folder)


def _fixed(one: Contents, other: Contents) -> Iterator[Change]:
    """Verdict, and everything that a lock fixes."""
    verdicts = [VERDICTS[side.decision["verdict"]] for side in (one, other)]
    yield from _changed("verdict", "the verdict", *verdicts)
    left, right = one.lock, other.lock
    yield from _changed("lock", "id", left["id"], right["id"])
    yield from _changed("lock", "kind", left["kind"], right["kind"])
    yield from _changed("lock", "attempt", _plain(left["attempt"]), _plain(right["attempt"]))
    yield from _changed("policy", "its text", *(_policy(side) for side in (left, right)))
    yield from _mapping("model", "", left["model"], right["model"])
    yield from _changed("template", "chat template", left["template"]["sha256"], right["template"]["sha256"])
    yield from _mapping("settings", "", left["settings"], right["settings"])
    suites = [{entry["suite"]: entry for entry in side["suites"]} for side in (left, right)]
    for name in dict.fromkeys([*suites[0], *suites[1]]):
        entries = [side.get(name) for side in suites]
        yield from _changed("suites", name, *(_suite(entry) for entry in entries))
    for name in sorted({*left["calibrations"], *right["calibrations"]}):
        yield from _changed("judges", name, left["calibrations"].get(name, ""), right["calibrations"].get(name, ""))


def _rows(one: Contents, other: Contents) -> Iterator[Change]:
    rows = [{row["row"]: row for row in side.decision["rows"]} for side in (one, other)]
    for name in dict.fromkeys([*rows[0], *rows[1]]):
        left, right = rows[0].get(name), rows[1].get(name)
        if left is None or right is None:
            yield Change("row", name, "" if left is None else left["status"], "" if right is None else right["status"])
        else:
            yield from _row(left, right)
    conditions = [side.decision["conditions"] for side in (one, other)]
    for text in dict.fromkeys([*conditions[0], *conditions[1]]):
        yield from _changed("condition", "a condition", *(text if text in side else "" for side in conditions))


def _row(left: Row, right: Row) -> Iterator[Change]:
    name = title(right)
    yield from _changed("status", name, left["status"], right["status"])
    for key in ("level", "limit"):
        if not same(left[key], right[key]):
            yield Change("limit", f"{name}, {key}", _plain(left[key]), _plain(right[key]))
    if any(not same(left[key], right[key]) for key in _NUMBERS):
        yield Change("number", name, _figures(left), _figures(right))


def _figures(row: Row) -> str:
    bounds = "" if row["lower"] is None else f" [{number(row, row['lower'])}, {number(row, row['upper'])}]"
    return f"{number(row, row['value'])}{bounds}, n = {row['n_used']:,}"


def _samples(one: Contents, other: Contents) -> Iterator[Change]:
    """Answers to the same question, found by the digest of its prompt: two locks may ask it under other ids."""
    for suite in dict.fromkeys([*one.samples, *other.samples]):
        left, right = _by_prompt(one, suite), _by_prompt(other, suite)
        shared = [prompt for prompt in left if prompt in right]
        if len(shared) != len(left) or len(shared) != len(right):
            only = [f"{len(side) - len(shared):,} questions of its own" for side in (left, right)]
            yield Change("samples", f"{suite}: {len(shared):,} answered in both", *only)
        changed = [prompt for prompt in shared if _answer(left[prompt]) != _answer(right[prompt])]
        if changed:
            flips = sum(_flipped(left[prompt], right[prompt]) for prompt in changed)
            names = ", ".join(left[prompt]["item"] for prompt in changed[:SHOWN])
            more = f" and {len(changed) - SHOWN:,} more" if len(changed) > SHOWN else ""
            labels = [_tally(side, changed) for side in (left, right)]
            what = f"{suite}: {len(changed):,} of {len(shared):,} answers, {flips:,} graded otherwise ({names}{more})"
            yield Change("samples", what, *labels)


def _by_prompt(side: Contents, suite: str) -> dict[tuple[str, int], Sample]:
    """Answers by the digest of their prompt, and how often it had been asked before."""
    asked: Counter[str] = Counter()
    found = {}
    for stored in side.samples.get(suite, {}).values():
        prompt = stored.sample["prompt_sha256"]
        found[prompt, asked[prompt]] = stored.sample
        asked[prompt] += 1
    return found


def _answer(sample: Sample) -> tuple[JSON, ...]:
    return sample["output"], sample["choice_logprobs"], sample["grade"]["label"]


def _flipped(left: Sample, right: Sample) -> bool:
    return bool(left["grade"]["label"] != right["grade"]["label"])


def _tally(side: Mapping[tuple[str, int], Sample], prompts: Sequence[tuple[str, int]]) -> str:
    labels = [side[prompt]["grade"]["label"] for prompt in prompts]
    return ", ".join(f"{label} {labels.count(label):,}" for label in sorted(set(labels)))


def _labels(left: Path, right: Path) -> Iterator[Change]:
    counts = []
    for folder in (left, right):
        path = folder / "labels.jsonl"
        entries = read_lines(path, "labels")[1] if path.exists() else []
        counts.append({(entry["suite"], entry["item"], entry["label"], entry["human"]) for entry in entries})
    if counts[0] != counts[1]:
        yield Change("labels", "labels", *(f"{len(side):,}" for side in counts))


def _circumstances(one: Contents, other: Contents) -> Iterator[Change]:
    yield from _changed("circumstance", "lock made", one.lock["created"], other.lock["created"])
    yield from _changed("circumstance", "decided", one.decision["decided"], other.decision["decided"])
    left, right = one.run or {}, other.run or {}
    for key in ("machine", "engine", "packages"):
        yield from _mapping("circumstance", f"{key} ", left.get(key, {}), right.get(key, {}))
    yield from _changed("circumstance", "started", str(left.get("started", "")), str(right.get("started", "")))


def _mapping(kind: str, prefix: str, left: Mapping[str, JSON], right: Mapping[str, JSON]) -> Iterator[Change]:
    for key in sorted({*left, *right}):
        one, other = left.get(key), right.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _mapping(kind, f"{prefix}{key}.", one, other)
        elif key not in left or key not in right or not same(one, other):
            yield Change(kind, f"{prefix}{key}", _plain(one), _plain(other))


def _changed(kind: str, what: str, left: str, right: str) -> Iterator[Change]:
    if left != right:
        yield Change(kind, what, left, right)


def _policy(lock: Mapping[str, JSON]) -> str:
    return f"{lock['policy']['name']} {lock['policy']['sha256'][:16]}"


def _suite(entry: Mapping[str, JSON] | None) -> str:
    if entry is None:
        return ""
    return f"version {entry['version']}, {entry['n']:,} items {entry['items_sha256'][:16]}, grader {entry['grader']}"


def _plain(value: JSON) -> str:
    return "none" if value is None else str(value)
