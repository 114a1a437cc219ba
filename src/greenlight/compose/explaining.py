"""How does a waiting release get its public page? Run and ledger are read, the page is written beside its past."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from greenlight.errors import EvidenceError
from greenlight.evidence import read_json, sha256_file, write_atomic
from greenlight.gate.folder import read_optional
from greenlight.gate.lock import read_lock
from greenlight.release.delay import Material, explain, read_pages
from greenlight.release.ledger import AUTHOR, read_ledger, standing


def explain_run(
    folder: Path | str,
    ledger: Path | str,
    out: Path | str,
    *,
    price_per_hour: float | None = None,
    redact: Mapping[str, str] | None = None,
) -> tuple[Path, ...]:
    """Write index.html, feed.atom and pages.json of a decided run.

    Args:
        folder: the run; its lock and decision must stand in the ledger.
        ledger: of the release.
        out: where the page goes; pages that were made there before are its past.
        price_per_hour: of the machine, in dollars.
        redact: rows to withhold, each with a reason that is published.

    Raises:
        EvidenceError: the run does not stand in the ledger, or the page would go into the evidence.
    """
    folder, out = Path(folder), Path(out)
    if out.resolve().is_relative_to(folder.resolve()):
        raise EvidenceError("a page inside the evidence would change it", where=str(out), do="choose another --out")
    lock, decision = read_lock(folder / "lock.json"), read_json(folder / "decision.json", "decision")
    digest, book = sha256_file(folder / "decision.json"), read_ledger(Path(ledger))
    says = standing(book, lock, decision, digest)
    run = read_optional(folder / "run.json", "run") or {"wall_s": {}}
    material = Material(
        decision=decision,
        decision_sha256=digest,
        ledger=book,
        lock=lock,
        wall_s=run["wall_s"],
        price_per_hour=price_per_hour,
        vouched=tuple(note for note in says.notes if note.startswith("time:")) or (AUTHOR,),
        redacted=redact or {},
    )
    made = explain(material, read_pages(out))
    for name, data in made.files.items():
        write_atomic(out / name, data)
    return tuple(out / name for name in made.files)
