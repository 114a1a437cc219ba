"""How does a model on this machine sit an exam? Asked through its engine, checked and measured here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from greenlight.assess.instrument import PROBE, check_batch, check_template
from greenlight.assess.measured import measure
from greenlight.assess.runner import Subject
from greenlight.assess.suites import Item
from greenlight.compose.models import Loaded
from greenlight.engine import GenerateRequest, SamplingParams
from greenlight.engine.local import LocalAnswerer
from greenlight.evidence import JSON

PILOT_ITEMS, PILOT_TOKENS = 32, 16
"""Answers timed together for the estimate of minutes, and tokens of each."""


@dataclass(frozen=True, slots=True)
class LocalExaminee:
    """A loaded model as an `Examinee`."""

    loaded: Loaded
    """The model with its identity."""

    @property
    def name(self) -> str:
        """Short name for folders and reports."""
        return self.loaded.name

    @property
    def digest(self) -> str:
        """SHA-256 of its file, or of its folder's files by name."""
        return self.loaded.digest

    @property
    def template_sha256(self) -> str:
        """Digest of its chat template's source; of the empty text where it has none."""
        return self.loaded.template_sha256

    @property
    def template_date(self) -> str | None:
        """The day that its prompts state; None where the template states none."""
        return self.loaded.template_date

    @property
    def ops(self) -> str:
        """Operations that compute it, with their version."""
        return self.loaded.model.decoder.ops.identity

    def identity(self) -> dict[str, JSON]:
        """What a lock says of it."""
        return self.loaded.identity()

    def engine(self) -> dict[str, JSON]:
        """What a run records of how it was computed."""
        decoder = self.loaded.model.decoder
        left_out: dict[str, JSON] = {"left_out": ", ".join(decoder.left_out)} if decoder.left_out else {}
        return {"ops": self.ops, "isa": decoder.ops.isa, "threads": decoder.ops.threads, **left_out}

    def answerer(self) -> LocalAnswerer:
        """A fresh way to ask it."""
        return self.loaded.model.answerer()

    def check(self, subject: Subject, items: Sequence[Item]) -> dict[str, JSON]:
        """The template's round trip, and the same items alone and together."""
        model = self.loaded.model
        found: dict[str, JSON] = {
            "batch": check_batch(
                subject,
                items,
                together=model.answerer(prefix_cache=False),
                alone=model.answerer(max_sequences=1, prefix_cache=False),
            )
        }
        if not model.chats:
            text = "the model has no chat template: only plain texts can be asked of it"
            return {**found, "template": {"ok": False, "bos": 0, "text": text}}
        tokens = model.prompt(PROBE)
        text = model.tokenizer.decode(tokens, skip_special=False)
        return {**found, "template": check_template(text, tokens, model.tokenizer.bos_id)}

    def measure(self) -> dict[str, JSON]:
        """What it costs to run, in a process of its own."""
        model = self.loaded.model
        return measure(model.path, self.loaded.paths(), model.decoder.ops.name, model.adapters)

    def tokens_per_s(self) -> float:
        """Tokens per second over several answers at once: a fraction of a second's measurement, for planning alone."""
        model, engine = self.loaded.model, self.loaded.model.engine()
        sampling = SamplingParams(max_tokens=PILOT_TOKENS, ignore_eos=True)
        requests = [
            GenerateRequest(id=f"pilot-{number}", prompt=model.encode(f"{number} {self.name}"), sampling=sampling)
            for number in range(PILOT_ITEMS)
        ]
        start = time.perf_counter()
        tokens = sum(len(result.tokens) for result in engine.generate(requests))
        return tokens / (time.perf_counter() - start)
