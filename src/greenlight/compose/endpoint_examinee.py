"""How does a model behind an endpoint sit an exam? Asked over HTTP; what cannot be measured there is said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from greenlight.assess.instrument import check_repeats
from greenlight.assess.runner import Subject
from greenlight.assess.suites import Item
from greenlight.engine.remote import RemoteAnswerer, RemoteModel
from greenlight.engine.remote.neutral import own_defaults
from greenlight.evidence import JSON, sha256

CANNOT: Mapping[str, str] = {
    "choice": "the endpoint gives no log-probabilities of given texts, which this assessment weighs",
    "resources": "the model runs behind an endpoint: what it costs there cannot be measured from here",
}
"""What cannot be measured of a model behind an endpoint, and why; a lock says so beforehand."""


@dataclass(frozen=True, slots=True)
class EndpointExaminee:
    """A model behind an endpoint as an `Examinee`."""

    model: RemoteModel
    """The model and what it says of itself."""

    @property
    def name(self) -> str:
        """Short name for folders and reports."""
        last = self.model.name.rpartition("/")[2].removesuffix(".gguf")
        return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.")[:80] or "model"

    @property
    def digest(self) -> str:
        """SHA-256 of what the endpoint says of itself: no file can be seen."""
        return self.model.digest

    @property
    def template_sha256(self) -> str:
        """Digest of the empty text: the template is the endpoint's own."""
        return sha256(b"")

    @property
    def template_date(self) -> None:
        """Unknown: the template is the endpoint's own."""

    @property
    def ops(self) -> str:
        """An endpoint's; what computes there is not known."""
        return "endpoint"

    def identity(self) -> dict[str, JSON]:
        """What a lock says of it: its own word, and what cannot be measured of it."""
        return {
            "name": self.name,
            "digest": self.digest,
            "files": {},
            "family": None,
            "parameters": None,
            "endpoint": {
                "url": self.model.url,
                "model": self.model.name,
                "answers_as": self.model.answers_as,
                "models_entry": self.model.entry,
                "off": self.model.off,
            },
            "cannot": dict(CANNOT),
        }

    def engine(self) -> dict[str, JSON]:
        """What a run records of how it was computed: the machine is elsewhere, and tells this much."""
        return {"ops": self.ops, "url": self.model.url, "fingerprints": list(self.model.fingerprints)}

    def answerer(self) -> RemoteAnswerer:
        """A fresh way to ask it."""
        return self.model.answerer()

    def check(self, subject: Subject, items: Sequence[Item]) -> dict[str, JSON]:
        """How often it answers the same when asked again, and whether it still is what it said it was."""
        batch = check_repeats(subject, items)
        said = "the template is the endpoint's own and cannot be seen"
        if not self.model.still_listed():
            said = "what the endpoint says of the model in /models changed while it was asked"
            return {"batch": batch, "template": {"ok": False, "bos": 0, "text": said}}
        if unsaid := own_defaults(self.model.off):
            said += f"; it takes no word on {', '.join(unsaid)}, of which it may have defaults of its own"
        fingerprints = self.model.fingerprints
        if len(fingerprints) > 1:
            said += f"; it was computed by {len(fingerprints)} systems, by what answers say: {', '.join(fingerprints)}"
        return {"batch": batch, "template": {"ok": None, "bos": 0, "text": said}}

    def measure(self) -> None:
        """Nothing: see `CANNOT`."""

    def tokens_per_s(self) -> None:
        """Unknown: asking would cost, and others may be asking too."""
