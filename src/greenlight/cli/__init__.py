"""The command line: one file per verb; this one turns problems into messages and exit statuses."""

from __future__ import annotations

import sys
from typing import NoReturn

EXIT_ERROR, EXIT_USAGE = 1, 2


def main() -> NoReturn:
    """Run the command line of this process; never shows a traceback for a problem its user can act on."""
    from greenlight.cli import verbs
    from greenlight.cli.app import app
    from greenlight.errors import GreenlightError, UsageError

    verbs.register(sys.argv[1:])
    try:
        app()
    except GreenlightError as error:
        _report(error)
        sys.exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_ERROR)
    sys.exit(0)


def _report(error: object) -> None:
    from greenlight.errors import GreenlightError

    assert isinstance(error, GreenlightError)
    if "--json" in sys.argv:
        import json

        print(json.dumps(error.to_json(), ensure_ascii=False), file=sys.stderr)
    else:
        print(f"error: {error}", file=sys.stderr)
