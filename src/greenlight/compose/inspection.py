"""What is this model, and does it fit here? Facts from its files, its template rendered, and a memory plan."""

from __future__ import annotations

from greenlight import hub
from greenlight.assess.instrument import PROBE
from greenlight.compose.machine import free_memory_bytes
from greenlight.errors import TextError
from greenlight.evidence import JSON
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.facts import ModelFacts
from greenlight.model.families import family_named
from greenlight.model.kv_groups import n_values
from greenlight.model.load import describe
from greenlight.ops import computation, select_ops
from greenlight.text import ChatTemplate, Tokenizer, render_tokens
from greenlight.text.template import STATED_DATE


def inspect(reference: str, *, context: int | None = None, sequences: int = 1) -> dict[str, JSON]:
    """What a model is, without running it.

    Args:
        reference: what to look at; it must be in the cache or on disk.
        context: positions per sequence for the memory plan; the model's own limit by default.
        sequences: sequences held at once.

    Raises:
        HubError, FormatError, UnsupportedError, ConfigError.
    """
    path = hub.resolve(hub.parse_reference(reference))
    checkpoint = open_checkpoint(path)
    facts = describe(checkpoint)
    tokenizer = Tokenizer.from_folder(path) if path.is_dir() else Tokenizer.from_gguf(checkpoint.metadata)
    ops = select_ops()
    plan = facts.memory(context or facts.config.max_seq_len, sequences, ops.name)
    free = free_memory_bytes()
    return {
        "reference": reference,
        **facts.to_json(),
        "computed": {"ops": ops.identity, "types": dict(computation(ops.name, facts.types))},
        "files": dict(hub.file_digests(path)),
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
            "kv_layers": _kv_layers(facts, plan.kv_bytes_per_position),
            "activations_bytes": plan.activations_bytes,
            "total_bytes": plan.total_bytes,
            "free_bytes": free,
            "fits": None if free is None else plan.total_bytes <= free,
        },
    }


def _kv_layers(facts: ModelFacts, bytes_per_position: int) -> list[JSON]:
    """What a position's keys and values take by kind of layer; None is the window of layers that see all."""
    layers = family_named(facts.family).kv_layers(facts.config)
    value_bytes = bytes_per_position // sum(map(n_values, layers))
    kinds = dict.fromkeys(layer.window for layer in layers)
    alike = {window: [layer for layer in layers if layer.window == window] for window in kinds}
    return [
        {"window": window, "n_layers": len(found), "bytes_per_position": value_bytes * sum(map(n_values, found))}
        for window, found in alike.items()
    ]


def _template(tokenizer: Tokenizer) -> dict[str, JSON] | None:
    """The chat template, and how it renders a conversation with every role that the suites use."""
    if not tokenizer.chat_template:
        return None
    try:
        turns = [{"role": message.role, "content": message.content} for message in PROBE]
        tokens = render_tokens(tokenizer, ChatTemplate(tokenizer.chat_template), turns, today=STATED_DATE)
        rendered = tokenizer.decode(tokens, skip_special=False)
    except TextError as error:
        rendered = f"cannot be rendered: {error.what}"
    return {"source": tokenizer.chat_template, "rendered": rendered}
