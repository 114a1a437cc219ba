"""Run a model: paged keys and values, prefix cache, one scheduler, two verbs."""

from greenlight.engine.engine import Engine
from greenlight.engine.requests import (
    Event,
    Finish,
    GenerateRequest,
    Generation,
    Request,
    SamplingParams,
    Scored,
    ScoreRequest,
    TokenEvent,
    TokenLogprob,
)

__all__ = [
    "Engine",
    "Event",
    "Finish",
    "GenerateRequest",
    "Generation",
    "Request",
    "SamplingParams",
    "ScoreRequest",
    "Scored",
    "TokenEvent",
    "TokenLogprob",
]
