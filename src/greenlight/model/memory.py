"""How much memory will a model take here? Predicted from its facts, before anything is allocated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from greenlight.model.config import ModelConfig
from greenlight.model.kv_groups import KVGroup, group_layers, kv_groups, n_values, page_values
from greenlight.model.layer_inputs import LAYER_EMBEDDING
from greenlight.ops.protocol import PAGE_SIZE, KVSpec

if TYPE_CHECKING:
    from greenlight.model.checkpoint import Checkpoint

STEP_ROWS = 512
"""Rows of one step that activations are sized for: a prefill chunk."""

_EMBEDDING = "model.embed_tokens.weight"
_SCORED_ROWS = 256
"""Queries whose scores the numpy operations hold at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSizes:
    """What of a model's size on disk decides what it takes in memory."""

    n_bytes: int
    """Bytes of its weights as they are packed: with what an adapter adds, keys that are values as well twice."""

    n_parameters: int
    """Their values."""

    embedding_bytes: int
    """Bytes of the embedding."""

    layer_embedding_bytes: int
    """Bytes of the embedding of each layer, of which no more is read than rows of tokens that come; 0: none."""

    largest_bytes: int
    """Bytes of the largest piece that is read at once to be packed, a layer or the head, and what is gathered of it."""

    largest_parameters: int
    """Its values."""

    @property
    def mostly_blocks(self) -> bool:
        """Whether most values are quantised, so that native operations multiply them by integers."""
        return self.n_bytes < 1.5 * self.n_parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class KVKind:
    """Keys and values of the layers with one window."""

    window: int | None
    """Newest positions that they see; None: all."""

    n_layers: int
    """How many layers."""

    bytes_per_position: int
    """What one position takes, all of them."""

    kv_bytes: int
    """What all sequences take, in whole pages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """Predicted bytes of a running model, beside what Python and libraries take."""

    context: int
    """Positions of each sequence."""

    sequences: int
    """Sequences held at once."""

    weights_bytes: int
    """Packed weights."""

    mapped_bytes: int
    """How many of them stay in their file and are read from there: an embedding that is not the head as well."""

    kv_bytes_per_position: int
    """Keys and values of one position, all layers."""

    page_bytes: int
    """One page: PAGE_SIZE positions of one group of layers."""

    kv_kinds: tuple[KVKind, ...]
    """Keys and values by kind of layer."""

    kv_bytes: int
    """Keys and values of all sequences, in whole pages; those that have left a window are not held."""

    activations_bytes: int
    """Scratch memory of one step, and its logits."""

    load_peak_bytes: int
    """Most that is held while weights are packed: those packed, and the piece of the file being read."""

    @property
    def total_bytes(self) -> int:
        """All of it, once the model is loaded."""
        return self.weights_bytes + self.kv_bytes + self.activations_bytes


def stored_sizes(checkpoint: Checkpoint) -> StoredSizes:
    """The sizes of an opened model."""
    n_bytes, n_values_of, gathered = Counter[str](), Counter[str](), Counter[str]()
    stacked_twice = _keys_as_values(checkpoint.config)
    for name, tensor in checkpoint.tensors.items():
        piece = ".".join(name.split(".")[:3]) if name.startswith("model.layers.") else name
        times = 2 if name.startswith(stacked_twice) else 1
        n_bytes[piece] += times * checkpoint.packed_bytes.get(name, tensor.n_bytes)
        n_values_of[piece] += times * tensor.n_values
        gathered[piece] += tensor.n_bytes if name in checkpoint.made else 0
    # The embedding is packed by pointing at it, unless it is the head.
    packed = [
        piece for piece in n_bytes if piece != LAYER_EMBEDDING and (piece != _EMBEDDING or checkpoint.config.tied_head)
    ]
    return StoredSizes(
        n_bytes=n_bytes.total(),
        n_parameters=n_values_of.total(),
        embedding_bytes=n_bytes[_EMBEDDING],
        layer_embedding_bytes=n_bytes[LAYER_EMBEDDING],
        largest_bytes=max(n_bytes[piece] + gathered[piece] for piece in packed),
        largest_parameters=max(n_values_of[piece] for piece in packed),
    )


def _keys_as_values(config: ModelConfig) -> tuple[str, ...]:
    """Where names of projections begin that are packed in the place of values, too."""
    own = range(config.n_own_layers)
    return tuple(f"model.layers.{layer}.self_attn.k_proj." for layer in own if not config.has_values(layer))


def plan_memory(
    config: ModelConfig,
    layers: Sequence[KVSpec],
    stored: StoredSizes,
    ops_name: str,
    context: int,
    sequences: int = 1,
) -> MemoryPlan:
    """Predict memory.

    Args:
        config: the model's facts.
        layers: what its layers keep per position.
        stored: the sizes of its weights.
        ops_name: 'numpy' widens weights and the cache to float32; 'native' keeps weights as stored, the cache in
            16 bits.
        context: positions of each sequence.
        sequences: sequences held at once.
    """
    wide = ops_name == "numpy"
    mapped = stored.layer_embedding_bytes + (0 if config.tied_head else stored.embedding_bytes)
    mapped_values = config.per_layer_vocab_size * config.per_layer_dim * config.n_layers
    mapped_values += 0 if config.tied_head else config.vocab_size * config.dim
    packed_values = stored.n_parameters - mapped_values
    packed = 4 * packed_values if wide else stored.n_bytes - mapped
    groups, value_bytes = kv_groups(group_layers(layers)), 4 if wide else 2
    page_bytes = page_values(groups) * value_bytes
    kinds = tuple(_kind(window, layers, groups, value_bytes, (context, sequences)) for window in _windows(layers))
    # Two copies of what is being widened: as it was made, and stacked with its neighbours.
    making = stored.largest_bytes + (4 * stored.largest_parameters if wide else 0)
    return MemoryPlan(
        context=context,
        sequences=sequences,
        weights_bytes=packed + mapped,
        mapped_bytes=mapped,
        kv_bytes_per_position=sum(map(n_values, layers)) * value_bytes,
        page_bytes=page_bytes,
        kv_kinds=kinds,
        kv_bytes=sum(kind.kv_bytes for kind in kinds),
        activations_bytes=_activations(config, layers, stored, (context, sequences), wide=wide),
        load_peak_bytes=packed + making,
    )


def _windows(layers: Sequence[KVSpec]) -> list[int | None]:
    return list(dict.fromkeys(layer.window for layer in layers))


def _kind(
    window: int | None, layers: Sequence[KVSpec], groups: Sequence[KVGroup], value_bytes: int, held: tuple[int, int]
) -> KVKind:
    """What the layers of one window keep for `held` (context, sequences)."""
    alike, (context, sequences) = [layer for layer in layers if layer.window == window], held
    step = min(STEP_ROWS, context * sequences)
    pages = 0
    for group in groups:
        if group.window == window:
            # All sequences share a step: what it adds to their windows, it adds once.
            each, newest = group.most_blocks(context, min(step, context)), group.most_blocks(context, 1)
            pages += min(sequences * each, sequences * newest + -(-step // PAGE_SIZE))
    return KVKind(
        window=window,
        n_layers=len(alike),
        bytes_per_position=sum(map(n_values, alike)) * value_bytes,
        kv_bytes=pages * page_values(groups) * value_bytes,
    )


def _activations(
    config: ModelConfig, layers: Sequence[KVSpec], stored: StoredSizes, held: tuple[int, int], *, wide: bool
) -> int:
    every, (context, sequences) = range(config.n_layers), held
    heads = max((config.n_heads + 2 * config.n_kv_heads_of(i)) * config.head_dim_of(i) for i in every)
    rows = min(STEP_ROWS, context * sequences)
    inputs = 2 * config.per_layer_dim * config.n_layers  # of all layers, side by side, as long as the step runs
    # Of native logits what was computed is handed out; numpy's are there twice meanwhile, and so are those with a cap.
    logits = 4 * (2 if wide or config.final_softcap is not None else 1) * sequences * config.vocab_size
    # Native operations let go of an array where its last reader ends.
    beside = 4 * rows * ((4 if wide else 3) * config.dim + heads + inputs)
    widest = rows * _feed_forward(config, stored, wide=wide)
    if wide:
        # Scores of some queries over all that they see, and twice more on the way through the softmax: they are gone
        # when the feed-forward comes.
        reach = max(context if layer.window is None else min(context, layer.window + rows) for layer in layers)
        widest = max(widest, 4 * 3 * config.n_heads * min(_SCORED_ROWS, rows, context) * reach)
    return beside + widest + logits


def _feed_forward(config: ModelConfig, stored: StoredSizes, *, wide: bool) -> int:
    """Bytes that a row's feed-forward holds at once; of experts each chosen one's output, and one expert's work."""
    if config.n_experts:
        return 4 * (config.n_experts_used * config.dim + 2 * config.dim + 3 * config.ffn_dim)
    ffn = max(config.ffn_dim, config.shared_ffn_dim or 0)
    if wide:
        return 4 * 3 * ffn  # gate, up and their product
    # Their product, and the same laid out for the kernels: as floats, or as int8 with four words for every 32.
    return 4 * ffn + ffn * 3 // 2 if stored.mostly_blocks else 2 * 4 * ffn
