"""Does every number of a bundle follow from what it holds? Asked without the model, torch or a network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from greenlight.errors import GreenlightError, UnsupportedError
from greenlight.evidence import JSON, MANIFEST, SIGNATURE, canonical, evidence_files
from greenlight.gate.decision import decide
from greenlight.gate.lock import check_lock
from greenlight.release.difference import DifferenceError, first_difference, numbers_only
from greenlight.release.files import check_files, must_be_bundle, read_record
from greenlight.release.recheck_page import check_page
from greenlight.release.records import check_judges, check_names, check_records
from greenlight.release.regrade import check_drawn, check_items, check_judgements, check_samples
from greenlight.release.sign import check_signature

Redraw: TypeAlias = Callable[[Mapping[str, JSON]], Mapping[str, Sequence[Mapping[str, JSON]]]]
"""A lock to the items that its seed draws, by suite; suites that this version cannot draw are left out."""

_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, OSError, AssertionError)
"""What reading raises where evidence has another shape than it should: its author may be anyone."""


class Verification(NamedTuple):
    """What checking a bundle came to."""

    same: bool
    """Whether everything that can be recomputed came out as stored."""

    difference: str | None
    """The first difference, naming the file or row and the field; None where there is none."""

    checks: tuple[str, ...]
    """What was checked and held."""

    notes: tuple[str, ...]
    """What no recomputation can tell, and what this version could not compare."""


def verify(folder: Path, *, redraw: Redraw | None = None, public_key: Path | None = None) -> Verification:
    """Recompute every number of a bundle from its samples.

    In this order: digests, signature, lock, judges' counts, questions, grades, decision, records, page, and the drawing
    of the questions from the lock's seed. Nothing after the first difference is looked at.

    Args:
        folder: a bundle; it may come from anyone.
        redraw: draws the items of a lock again, where the suites are at hand.
        public_key: the key that the folder must have been signed with.

    Raises:
        EvidenceError: there is no such folder, or it was never decided.
        UnsupportedError: a key is given, and the package that checks signatures is not installed.
    """
    folder = Path(folder)
    must_be_bundle(folder)
    work = _Work(folder, redraw, public_key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # absurd numbers are for the comparison to find, not for stderr
        difference = work.run()
    return Verification(difference is None, difference, tuple(work.checks), tuple(work.notes))


class _Work:
    """The steps in order, and what they leave behind."""

    def __init__(self, folder: Path, redraw: Redraw | None, public_key: Path | None) -> None:
        self._folder, self._redraw, self._public_key = folder, redraw, public_key
        self._lock: dict[str, JSON] = {}
        self._withheld: list[str] = []
        self.checks: list[str] = []
        self.notes = ["time: the author's word"]

    def run(self) -> str | None:
        """The first difference in words, or None."""
        steps = {
            MANIFEST: self._files,
            SIGNATURE: self._signature,
            "lock.json": self._locked,
            "judge.json": self._judges,
            "items": self._items,
            "samples": self._samples,
            "decision.json": self._decision,
            "records": self._records,
            "report.html": self._page,
            "lock.json, seed": self._drawn,
        }
        for where, step in steps.items():
            try:
                step()
            except UnsupportedError:
                raise  # of this installation, not of the bundle
            except GreenlightError as error:
                return self._told(error, where)
            except _SHAPE as error:
                return (
                    f"{where}: evidence has another shape than it should ({type(error).__name__}: {str(error)[:120]})"
                )
        return None

    def _told(self, error: GreenlightError, where: str) -> str:
        parts = [error.what, *([error.found] if error.found else [])]
        if isinstance(error, DifferenceError):
            return ": ".join(parts)
        # What evidence.py and the gate raise names files by their full path; a difference names them within the bundle.
        place = (error.where or where).replace(f"{self._folder}/", "").replace(str(self._folder), where)
        return f"{place}: {' ('.join(parts)}{')' if len(parts) > 1 else ''}"

    def _files(self) -> None:
        count, hidden = check_files(self._folder)
        self.checks.append(f"manifest: {count} files, each with the digest that was recorded")
        if hidden:
            self.notes.append(f"not covered by the manifest: {', '.join(hidden[:5])}")

    def _signature(self) -> None:
        if self._public_key is not None:
            check_signature(self._folder, self._public_key)
            self.checks.append(f"signature: made with {self._public_key.name}, over every file")
        elif (self._folder / SIGNATURE).exists():
            self.notes.append("signed, and the signature was not checked: give --public-key")

    def _locked(self) -> None:
        lock = read_record(self._folder, "lock.json", "lock")
        if difference := check_lock(lock):
            raise DifferenceError(f"lock.json: {difference}")
        if (self._folder / "policy.toml").read_bytes() != lock["policy"]["toml"].encode():
            raise DifferenceError("policy.toml: not the text that was locked")
        strange = check_names(frozenset({*evidence_files(self._folder), MANIFEST}), lock)
        if strange:
            self.notes.append(f"read by no check: {', '.join(strange[:5])}")
        self._lock = lock
        if lock["kind"] == "exam" and lock["attempt"] is None:
            self.notes.append("no ledger counted this attempt: how many exams came before it is the author's word")
        if lock["attempt"] is not None:
            self.notes.append(f"attempt {lock['attempt']}, as a ledger counted it: give --ledger to check that")
        self.checks.append(f"lock: {lock['id'][:8]}, its id, seed and policy follow from what it fixes")

    def _judges(self) -> None:
        check_judges(self._folder, self._lock)
        self.checks.append(f"judges: the counts of {len(self._lock['calibrations'])} are those that were locked")

    def _items(self) -> None:
        entries = self._lock["suites"]
        self._withheld = [entry["suite"] for entry in entries if not check_items(self._folder, entry)]
        self.checks.append(f"questions: {sum(entry['n'] for entry in entries):,} in {len(entries)} suites")

    def _samples(self) -> None:
        models = (None, *self._lock.get("references", ()))
        count = sum(
            check_samples(self._folder, entry, self._lock["id"], reference)
            for reference in models
            for entry in self._lock["suites"]
        )
        self.checks.append(
            f"grades: {count:,} stored answers graded again, each with the same label, score and reading"
        )
        said = sum(
            check_judgements(self._folder, entry, self._lock, judge, reference)
            for judge in self._lock.get("judges", ())
            for reference in models
            for entry in self._lock["suites"]
        )
        if said:
            self.checks.append(f"verdicts: {said:,} of judges read again, each with the same label")

    def _decision(self) -> None:
        stored = read_record(self._folder, "decision.json", "decision")
        again = decide(self._folder, decided=stored["decided"])
        if stored["wording"] != again["wording"]:
            self.notes.append(
                f"decision.json has edition {stored['wording']} of the wording: its words were not compared"
            )
            stored, again = numbers_only(stored), numbers_only(again)
        if difference := first_difference(stored, again):
            # The rows' names carry no file: say it where it is the decision itself that was changed.
            raise DifferenceError(f"decision.json, {difference}")
        self.checks.append(f"decision: {len(again['rows'])} rows and the verdict {again['verdict']} recomputed")

    def _records(self) -> None:
        self.notes += check_records(self._folder, self._lock)
        self.checks.append("records: run, data and instrument belong to this lock")
        self.notes.append(
            "recorded, not recomputable without the model: answers, speeds, memory, template and batch checks"
        )
        if (self._folder / "contamination.json").exists():
            self.notes.append("contamination.json: what overlaps, and with which text, is the author's word")

    def _page(self) -> None:
        stored = canonical(read_record(self._folder, "decision.json", "decision"))
        self.notes += check_page(self._folder, stored)
        self.checks.append("report: holds this decision")

    def _drawn(self) -> None:
        drawn = {} if self._redraw is None else self._redraw(self._lock)
        again = [entry for entry in self._lock["suites"] if entry["suite"] in drawn]
        for entry in again:
            check_drawn(self._folder, entry, drawn[entry["suite"]])
        if again:
            self.checks.append(f"seed: it draws the questions of {len(again)} suites again")
        missing = [entry["suite"] for entry in self._lock["suites"] if entry["suite"] not in drawn]
        if missing:
            self.notes.append(f"not drawn again (no suite of that version here): {', '.join(missing)}")
        taken = [name for name in self._withheld if name in missing]
        if taken:
            self.notes.append(
                f"questions withheld and not drawn again, so their keys are the author's word: {', '.join(taken)}"
            )
