"""What was locked, decided and promised about a release, in order, so that nothing of it can be taken back unseen?"""

from greenlight.release.ledger.append import Appender, appending
from greenlight.release.ledger.chain import Entry, Ledger, parse_ledger, read_ledger
from greenlight.release.ledger.due import Due, due
from greenlight.release.ledger.entries import CATEGORIES, ENTRY_KINDS, EVENTS
from greenlight.release.ledger.standing import AUTHOR, Standing, attempt_words, standing

__all__ = [
    "AUTHOR",
    "CATEGORIES",
    "ENTRY_KINDS",
    "EVENTS",
    "Appender",
    "Due",
    "Entry",
    "Ledger",
    "Standing",
    "appending",
    "attempt_words",
    "due",
    "parse_ledger",
    "read_ledger",
    "standing",
]
