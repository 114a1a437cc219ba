"""What is this model, and does it fit here? Facts from its files, its template rendered, and a memory plan."""

from __future__ import annotations

from dataclasses import asdict

from greenlight.assess.instrument import PROBE
from greenlight.compose.machine import free_memory_bytes
from greenlight.compose.memory_check import MEASURED_CONTEXT, Asked, measure_memory
from greenlight.compose.models import Files, find_files
from greenlight.engine.local import tokenizer_of
from greenlight.errors import TextError, UsageError
from greenlight.evidence import JSON
from greenlight.model.load import describe
from greenlight.model.memory import MemoryPlan
from greenlight.ops import computation, name_of, select_ops
from greenlight.text import ChatTemplate, Tokenizer, render_tokens
from greenlight.text.template import STATED_DATE


def inspect(
    reference: str,
    *,
    context: int | None = None,
    sequences: int = 1,
    measure: bool = False,
    ops: str | None = None,
) -> dict[str, JSON]:
    """What a model is, without running it, unless its memory is to be measured.

    Args:
        reference: what to look at; it must be in the cache or on disk.
        context: positions per sequence for the memory plan; the model's own limit by default, or less if measured.
        sequences: sequences held at once.
        measure: load it in a process of its own, answer, and hold what that took against the plan.
        ops: as for `models.load`.

    Raises:
        HubError, FormatError, UnsupportedError, ConfigError.
        TextError: the tokenizer is damaged, or larger than the model.
        EngineError: the memory could not be measured.
    """
    found = find_files(reference)
    checkpoint = found.checkpoint()
    facts = describe(checkpoint)
    tokenizer = tokenizer_of(checkpoint)
    computing, limit = select_ops(ops), facts.config.max_seq_len
    context = context or (min(limit, MEASURED_CONTEXT) if measure else limit)
    plan = facts.memory(context, sequences, computing.name)
    free, digests = free_memory_bytes(), found.digests()
    return {
        "reference": reference,
        **facts.to_json(),
        "computed": {"ops": computing.identity, "types": dict(computation(computing, facts.types))},
        "digest": digests[0],
        "files": digests[1],
        "tokenizer": {
            "vocab_size": tokenizer.vocab_size,
            "bos_id": tokenizer.bos_id,
            "eos_ids": sorted(tokenizer.eos_ids),
            "special_tokens": len(tokenizer.special_tokens),
        },
        "template": _template(tokenizer),
        "memory": {
            "context": plan.context,
            "sequences": plan.sequences,
            "weights_bytes": plan.weights_bytes,
            "kv_bytes": plan.kv_bytes,
            "kv_bytes_per_position": plan.kv_bytes_per_position,
            "kv_layers": [asdict(kind) for kind in plan.kv_kinds],
            "activations_bytes": plan.activations_bytes,
            "load_peak_bytes": plan.load_peak_bytes,
            "total_bytes": plan.total_bytes,
            "free_bytes": free,
            "fits": None if free is None else max(plan.total_bytes, plan.load_peak_bytes) <= free,
            "measured": _measured(found, plan, name_of(computing.identity), limit) if measure else None,
        },
    }


def _measured(found: Files, plan: MemoryPlan, ops_name: str, limit: int) -> dict[str, JSON]:
    if not 2 <= plan.context <= limit:
        raise UsageError(
            "so many positions cannot be measured",
            where="--context",
            found=f"{plan.context:,}",
            do=f"use 2 to {limit:,}",
        )
    adapters = tuple(map(str, found.adapters))
    asked = Asked(path=str(found.path), adapters=adapters, ops=ops_name, context=plan.context, sequences=plan.sequences)
    return measure_memory(plan, asked)


def _template(tokenizer: Tokenizer) -> dict[str, JSON] | None:
    """The chat template, and how it renders a conversation with every role that the suites use."""
    if not tokenizer.chat_template:
        return None
    try:
        turns = [{"role": message.role, "content": message.content} for message in PROBE]
        tokens = render_tokens(tokenizer, ChatTemplate(tokenizer.chat_template), turns, today=STATED_DATE)
        rendered = tokenizer.decode(tokens, skip_special=False)
    except TextError as error:
        rendered = f"cannot be rendered: {error.what}" + (f" ({error.found})" if error.found else "")
    return {"source": tokenizer.chat_template, "rendered": rendered}
