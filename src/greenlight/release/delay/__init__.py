"""What is the public owed while a release waits? One page and its feed, from ledger and decision alone."""

from greenlight.release.delay.history import Snapshot, read_pages
from greenlight.release.delay.render import explain
from greenlight.release.delay.view import Material

__all__ = ["Material", "Snapshot", "explain", "read_pages"]
