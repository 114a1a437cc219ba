"""Did the instrument work? Checks whose failure makes a row INVALID: a broken measurement is not a low score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from greenlight.evidence import JSON
from greenlight.gate.facts import SuiteFacts
from greenlight.measure.statistics.proportions import lower_bound

Check: TypeAlias = dict[str, JSON]

MAX_EMPTY = 0.01
MAX_UNPARSED = 0.02
MAX_TRUNCATED = 0.02

_SURE = 0.05


class AnswerChecks:
    """Counts what could not be graded among the answers of one row."""

    def __init__(self, facts: SuiteFacts, n_planned: int) -> None:
        self._facts, self._n_planned = facts, n_planned
        self._n = self._empty = self._unparsed = self._cut = 0

    def add(self, sample: Mapping[str, JSON]) -> None:
        """Take the next answer."""
        label = sample["grade"]["label"]
        self._n += 1
        self._empty += label == "empty"
        self._unparsed += label == "unparsed"
        self._cut += sample["finish"] == "length"

    @property
    def ok(self) -> bool:
        """Whether none fails."""
        return all(check["ok"] for check in self.found())

    def found(self) -> list[Check]:
        """Each check with its share and limit."""
        checks = [self._share("unparsed", self._unparsed, MAX_UNPARSED, "answers that the grader could not read")]
        if self._facts.kind == "choice":
            return checks
        checks.insert(0, self._share("empty", self._empty, MAX_EMPTY, "answers without a word"))
        if self._facts.answer_tokens:
            share = self._cut / self._n if self._n else 0.0
            read = f"the grader reads {self._facts.answer_tokens} tokens"
            text = f"{self._cut} of {self._n} answers are cut by design: {read}"
            checks.append({"check": "truncated", "ok": True, "value": share, "limit": None, "text": text})
        else:
            checks.append(self._share("truncated", self._cut, MAX_TRUNCATED, "answers cut before the part that counts"))
        return checks

    def _share(self, name: str, count: int, limit: float, what: str) -> Check:
        """At most `limit` of all; before all are there, only a share that is surely above it fails."""
        share = count / self._n if self._n else 0.0
        above = share > limit if self._n >= self._n_planned else lower_bound(count, self._n, _SURE) > limit
        text = f"{count} of {self._n} {what}"
        return {"check": name, "ok": not above, "value": share, "limit": limit, "text": text}


def instrument_checks(instrument: Mapping[str, JSON] | None, suite: str, kind: str) -> list[Check]:
    """What instrument.json says of one suite; a failing check where there is no such file."""
    if instrument is None:
        text = "the checks of graders, template and batches were not run"
        return [{"check": "instrument", "ok": False, "value": None, "limit": None, "text": text}]
    if tool := instrument.get("imported"):
        return _imported_checks(str(tool), instrument["suites"].get(suite))
    grader = instrument["suites"].get(suite)
    checks = _grader_checks(grader)
    template = instrument["template"]
    if not (grader or {}).get("plain"):
        # At an endpoint the template cannot be seen (None): that is said, and is no failure.
        ok = template["ok"] is None or bool(template["ok"])
        checks.append({"check": "template", "ok": ok, "value": None, "limit": None, "text": str(template["text"])})
    if kind == "generate":
        checks.append(_batch_check(instrument["batch"]))
    return checks


def _batch_check(batch: Mapping[str, JSON]) -> Check:
    """Whether answers are the same alone and in a batch; where nobody promises that, how often they are is said."""
    items, identical, promised = int(batch["items"]), int(batch["identical"]), batch.get("promised", True)
    share = identical / items if items else 0.0
    same = f"the same each of {batch['repeats']} times" if "repeats" in batch else "the same alone and in a batch"
    text = f"{identical} of {items} answers are {same}{'' if promised else '; equal answers are not promised there'}"
    ok = identical == items > 0 if promised else items > 0
    return {"check": "batch", "ok": ok, "value": share, "limit": 1.0 if promised else None, "text": text}


def _imported_checks(tool: str, found: Mapping[str, JSON] | None) -> list[Check]:
    """Of another tool's run only our own grader can be checked; what could not be is said, and fails nothing."""
    text = f"prompts, template and batches are {tool}'s own and were not checked"
    unchecked: Check = {"check": "imported", "ok": True, "value": None, "limit": None, "text": text}
    return [unchecked] if found is None else [*_grader_checks(found), unchecked]


def _grader_checks(found: Mapping[str, JSON] | None) -> list[Check]:
    if found is None:
        text = "the grader was not given planted answers"
        return [{"check": "gold", "ok": False, "value": None, "limit": None, "text": text}]
    gold = float(found["gold"])
    text = f"right answers planted by hand score {gold:.3f} through the same grader"
    checks: list[Check] = [{"check": "gold", "ok": gold >= 1 - 1e-9, "value": gold, "limit": 1.0, "text": text}]
    if found.get("chance") is not None:
        shuffled, chance = float(found["shuffled"]), float(found["chance"])
        text = f"right answers of other questions score {shuffled:.3f}, chance is at most {chance:.3f}"
        checks.append({"check": "shuffled", "ok": shuffled <= chance, "value": shuffled, "limit": chance, "text": text})
    return checks


def first_failing(checks: Sequence[Check]) -> Check | None:
    """The first check that fails."""
    return next((check for check in checks if not check["ok"]), None)
