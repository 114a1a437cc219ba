"""Which of several runs on the same items did better, where, and how surely? Read from their folders alone."""

from __future__ import annotations

from greenlight.release.comparing.compare import RunComparison, compare_runs

__all__ = ["RunComparison", "compare_runs"]
