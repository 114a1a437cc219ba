"""Which public benchmarks can be asked? Adapters to files as their authors publish them; none ships in the package."""

from greenlight.assess.public.science import SCIENCE
from greenlight.assess.public.sense import SENSE
from greenlight.assess.public.truth import TRUTH
from greenlight.assess.suites import Suite

__all__ = ["PUBLIC"]

PUBLIC: dict[str, Suite] = {suite.name: suite for suite in (*SCIENCE, *SENSE, *TRUTH)}
"""Name to suite; whether its files are on this machine shows when it is drawn."""
