"""Which verbs are there? Importing this registers them, in the order that help shows."""

# ruff: noqa: F401, I001  the import is the registration, and its order is the help's

from greenlight.cli import review
from greenlight.cli import pull
from greenlight.cli import inspect
from greenlight.cli import doctor
from greenlight.cli import chat
from greenlight.cli import convert
from greenlight.cli import plan
from greenlight.cli import assess
from greenlight.cli import label
from greenlight.cli import judge
from greenlight.cli import decide
from greenlight.cli import verify
from greenlight.cli import waive
from greenlight.cli import ledger
from greenlight.cli import explain
from greenlight.cli import contaminate
from greenlight.cli import release
from greenlight.cli import diff
from greenlight.cli import compare
from greenlight.cli import merge
from greenlight.cli import replay
from greenlight.cli import import_
