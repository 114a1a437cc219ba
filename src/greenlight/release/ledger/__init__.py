"""What was locked, decided and promised about a release, in order, so that nothing of it can be taken back unseen?"""

from greenlight.release.ledger.append import Appender, appending
from greenlight.release.ledger.chain import Entry, Ledger, parse_ledger, read_ledger
from greenlight.release.ledger.entries import CATEGORIES, ENTRY_KINDS, EVENTS

__all__ = [
    "CATEGORIES",
    "ENTRY_KINDS",
    "EVENTS",
    "Appender",
    "Entry",
    "Ledger",
    "appending",
    "parse_ledger",
    "read_ledger",
]
