"""What is a metric? One way to read an assessment's answers as a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

JSON: TypeAlias = Any
Sample: TypeAlias = Mapping[str, JSON]
"""An item's facts and its sample in one mapping: key, cluster, topic, level, grade, choice_logprobs, ..."""

Direction = Literal["max", "min"]
Kind = Literal["mean", "judged", "worst", "balance", "contrast", "ece", "aurc", "resource", "record"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One way to read an assessment's answers as a number."""

    assess: str
    """The assessment whose samples it reads."""

    name: str
    """What it is called in policies and reports."""

    plain: str
    """What it says of the model, in a few words that continue "how often" or stand alone."""

    kind: Kind
    """`mean`: a mean of values of items. `judged`: the same, where the grader is a judge with a measured error.
    `worst`: a judged share in each topic, of which the largest counts. `balance`: a mean over templates whose size
    either way is what matters. `contrast`: a difference of two means. `ece`: calibration error. `aurc`: area under the
    risk-coverage curve. `resource`: a figure of the machine. `record`: a fact of a file of the run."""

    low: float
    """Least value that one item can have."""

    high: float
    """Greatest value that one item can have."""

    direction: Direction
    """`max`: a limit is a ceiling. `min`: a floor."""

    unscored: str
    """What an answer that could not be graded counts as."""

    counts: Callable[[Mapping[str, JSON]], bool] = lambda _item: True
    """Which items of the suite the metric is about."""

    told: Callable[[Sample], bool] = lambda _sample: True
    """Whether an answer holds what the metric reads; where a kind of model never tells it, the metric is NOT RUN."""

    value: Callable[[Sample], float] = lambda _sample: 0.0
    """What one counted answer adds."""

    ideal: Callable[[Mapping[str, JSON]], float] = lambda _item: 0.0
    """What a perfect model's answer to an item would add: planning asks whether that could pass."""

    binary: bool = True
    """Whether a value is either low or high."""

    judge: str | None = None
    """The calibration that holds the judge's error."""

    table: str | None = None
    """Which confusion table of the calibration is about this metric."""

    positive: frozenset[str] = frozenset()
    """The labels that a judged metric counts; a person's label is read by the same rule."""

    partnered: bool = False
    """Whether a value is of two answers: of the counted item, and of the one that shares its `pair` (as `partner`)."""
