"""Which pages were there before? pages.json beside the page: what each said, so that the next can say what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from greenlight.errors import EvidenceError
from greenlight.evidence import JSON, read_json
from greenlight.release.ledger.entries import is_time

if TYPE_CHECKING:
    from greenlight.release.delay.view import Material

FILE = "pages.json"

MAX_PAGES = 1000

_VERDICTS = ("go", "go_with_conditions", "hold", "no_go")


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What one page said."""

    published: str
    """Its time."""

    decision_sha256: str
    """Which decision it was made from."""

    head: str
    """And after which entry of the ledger."""

    verdict: str
    policy: str
    slips: int
    withheld: int
    rows: Mapping[str, str]
    """Status of each row that was not withheld."""

    @classmethod
    def of(cls, material: Material) -> Snapshot:
        """What the page of this material says."""
        from greenlight.release.delay.dates import dates_of

        rows = material.decision["rows"]
        return cls(
            published=material.published,
            decision_sha256=material.decision_sha256,
            head=material.ledger.head,
            verdict=material.decision["verdict"],
            policy=material.decision["policy"]["sha256"],
            slips=dates_of(material.ledger).slips,
            withheld=sum(row["row"] in material.redacted for row in rows),
            rows={row["row"]: row["status"] for row in rows if row["row"] not in material.redacted},
        )


def read_pages(folder: Path) -> tuple[Snapshot, ...]:
    """The pages that were made into a folder so far, in order; none where there is no such file.

    Raises:
        EvidenceError: the file holds something else.
    """
    path = folder / FILE
    if not path.exists():
        return ()
    pages = read_json(path, "pages").get("pages")
    if not isinstance(pages, list) or len(pages) > MAX_PAGES:
        raise _strange(path, "no list of pages")
    return tuple(_snapshot(page, path) for page in pages)


def with_page(pages: tuple[Snapshot, ...], page: Snapshot) -> tuple[tuple[Snapshot, ...], Snapshot | None]:
    """The history with a page added, and the one before it; the same page made again replaces itself."""
    same = (page.decision_sha256, page.head)
    before = pages[:-1] if pages and (pages[-1].decision_sha256, pages[-1].head) == same else pages
    return (*before, page)[-MAX_PAGES:], before[-1] if before else None


def to_json(pages: tuple[Snapshot, ...]) -> dict[str, JSON]:
    """What the file holds."""
    return {"format": "greenlight.pages/1", "pages": [asdict(page) for page in pages]}


def _snapshot(value: JSON, path: Path) -> Snapshot:
    kinds: dict[str, type] = {field.name: str for field in fields(Snapshot)}
    kinds |= {"slips": int, "withheld": int, "rows": dict}
    if not isinstance(value, dict) or set(value) != set(kinds):
        raise _strange(path, "a page has other fields than a page has")
    for name, kind in kinds.items():
        if type(value[name]) is not kind:
            raise _strange(path, f"{name} is {str(value[name])[:60]!r}")
    texts = all(isinstance(status, str) for status in value["rows"].values())
    if not texts or value["verdict"] not in _VERDICTS or not is_time(value["published"]):
        raise _strange(path, "a row, a verdict or a time is none")
    return Snapshot(**value)


def _strange(path: Path, found: str) -> EvidenceError:
    return EvidenceError(
        "the pages before this one cannot be read",
        where=str(path),
        found=found,
        do="restore the file, or choose an empty folder with --out",
    )
