"""greenlight: should this model ship? An answer with its evidence.

Every verb of the command line is a function here. Names are loaded when they are used, so that `import greenlight`
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenlight.compose import Loaded, Observer, Review, Settings, decide, load, plan, report, verify
    from greenlight.compose import assess_reference as assess
    from greenlight.compose import compare_references as compare
    from greenlight.compose import lock_reference as lock
    from greenlight.compose import review_reference as review
    from greenlight.compose.conversation import Conversation
    from greenlight.compose.converting import convert
    from greenlight.compose.explaining import explain_run as explain
    from greenlight.compose.importing import import_run
    from greenlight.compose.inspection import inspect
    from greenlight.compose.machine import diagnose as doctor
    from greenlight.compose.models import list_models
    from greenlight.compose.publish import release_run
    from greenlight.compose.replaying import replay
    from greenlight.compose.waiving import waive
    from greenlight.engine import GenerateRequest, Generation, SamplingParams, Scored, ScoreRequest
    from greenlight.errors import GreenlightError
    from greenlight.hub import pull, remove
    from greenlight.release.diff import compare as diff
    from greenlight.release.ledger import read_ledger
    from greenlight.release.merge import merge_runs as merge

__version__ = "0.1.0"

_PLACES = {
    "Conversation": "greenlight.compose.conversation",
    "GenerateRequest": "greenlight.engine",
    "Generation": "greenlight.engine",
    "GreenlightError": "greenlight.errors",
    "Loaded": "greenlight.compose",
    "Observer": "greenlight.compose",
    "Review": "greenlight.compose",
    "SamplingParams": "greenlight.engine",
    "ScoreRequest": "greenlight.engine",
    "Scored": "greenlight.engine",
    "Settings": "greenlight.compose",
    "assess": "greenlight.compose:assess_reference",
    "compare": "greenlight.compose:compare_references",
    "convert": "greenlight.compose.converting",
    "decide": "greenlight.compose",
    "diff": "greenlight.release.diff:compare",
    "explain": "greenlight.compose.explaining:explain_run",
    "doctor": "greenlight.compose.machine:diagnose",
    "import_run": "greenlight.compose.importing",
    "inspect": "greenlight.compose.inspection",
    "list_models": "greenlight.compose.models",
    "load": "greenlight.compose",
    "lock": "greenlight.compose:lock_reference",
    "merge": "greenlight.release.merge:merge_runs",
    "plan": "greenlight.compose",
    "pull": "greenlight.hub",
    "release_run": "greenlight.compose.publish",
    "read_ledger": "greenlight.release.ledger",
    "remove": "greenlight.hub",
    "replay": "greenlight.compose",
    "report": "greenlight.compose",
    "review": "greenlight.compose:review_reference",
    "verify": "greenlight.compose",
    "waive": "greenlight.compose.waiving",
}

__all__ = [
    "Conversation",
    "GenerateRequest",
    "Generation",
    "GreenlightError",
    "Loaded",
    "Observer",
    "Review",
    "SamplingParams",
    "ScoreRequest",
    "Scored",
    "Settings",
    "__version__",
    "assess",
    "compare",
    "convert",
    "decide",
    "diff",
    "doctor",
    "explain",
    "import_run",
    "inspect",
    "list_models",
    "load",
    "lock",
    "merge",
    "plan",
    "pull",
    "read_ledger",
    "release_run",
    "remove",
    "replay",
    "report",
    "review",
    "verify",
    "waive",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'greenlight' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    value = getattr(import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
