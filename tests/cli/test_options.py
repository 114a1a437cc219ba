"""Options that several verbs share become what compose takes."""

from __future__ import annotations

import pytest

from greenlight.cli.options import computing
from greenlight.errors import UsageError


def test_ops_and_precision_become_one_name(monkeypatch):
    monkeypatch.delenv("GREENLIGHT_OPS", raising=False)
    assert computing(None, "standard") is None
    assert computing("numpy", "standard") == "numpy"
    assert computing("native", "exact") == "native+exact"
    assert computing(None, "exact") == "native+exact"
    monkeypatch.setenv("GREENLIGHT_OPS", "numpy")
    assert computing(None, "exact") == "numpy+exact"


@pytest.mark.parametrize("ops", [None, "native+exact"])
def test_an_unknown_precision_is_bad_usage(ops):
    with pytest.raises(UsageError, match="precision"):
        computing(ops, "half")


def test_a_name_that_says_exact_is_not_made_exact_twice(monkeypatch):
    assert computing("native+exact", "exact") == "native+exact"
    monkeypatch.setenv("GREENLIGHT_OPS", "native+exact")
    assert computing(None, "exact") == "native+exact"
