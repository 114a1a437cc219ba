"""How does a reader learn that something changed? An Atom feed (RFC 4287) with one entry for each page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from greenlight.release.delay.history import Snapshot
from greenlight.release.order import VERDICTS
from greenlight.release.text import visible

NAMESPACE = "http://www.w3.org/2005/Atom"

PAGE = "index.html"


def feed(model: str, begun: str, pages: Sequence[Snapshot]) -> bytes:
    """The feed, the newest page first.

    Args:
        model: the release.
        begun: digest of the ledger's first line, from which the feed has its identity.
        pages: in order; at least one.
    """
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<feed xmlns="{NAMESPACE}">',
        f"  <title>{_text(f'Release of {model}')}</title>",
        f"  <id>urn:greenlight:ledger:{begun}</id>",
        f"  <updated>{pages[-1].published}</updated>",
        "  <author><name>greenlight, from ledger and decision</name></author>",
        f'  <link rel="alternate" type="text/html" href={quoteattr(PAGE)}/>',
    ]
    before: list[Snapshot | None] = [None, *(first for first, _ in pairwise(pages))]
    for page, earlier in reversed(list(zip(pages, before, strict=True))):
        lines += _entry(page, earlier)
    return ("\n".join([*lines, "</feed>"]) + "\n").encode()


def _entry(page: Snapshot, earlier: Snapshot | None) -> Iterator[str]:
    yield "  <entry>"
    yield f"    <title>{VERDICTS[page.verdict]}</title>"
    yield f"    <id>urn:greenlight:page:{page.head}:{page.decision_sha256}</id>"
    yield f"    <updated>{page.published}</updated>"
    yield f'    <link rel="alternate" type="text/html" href={quoteattr(PAGE)}/>'
    yield f"    <summary>{_text('; '.join(_summary(page, earlier)))}</summary>"
    yield "  </entry>"


def _summary(page: Snapshot, earlier: Snapshot | None) -> Iterator[str]:
    yield f"slipped {page.slips} times"
    counts = {status: list(page.rows.values()).count(status) for status in page.rows.values()}
    yield ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    if page.withheld:
        yield f"{page.withheld} rows withheld"
    if earlier is not None:
        changed = [name for name in sorted(page.rows) if page.rows[name] != earlier.rows.get(name)]
        yield f"changed: {', '.join(changed) or 'no row'}"


def _text(text: str) -> str:
    """Text that XML can hold, with nothing hidden in it."""
    return escape(visible(text))
