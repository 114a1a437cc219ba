"""Does a gpt-oss of full width run within its memory plan?

`python -m benchmarks.experts` makes one of a few layers with random weights in MXFP4 and prints, as JSON,
what was predicted and what the system counted, and how fast it went. Weights are random, so nothing here says how good
an answer is; bytes and operations per layer are those of the 20b model.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from greenlight.model.load import describe, load_decoder
from greenlight.ops import native, select_ops
from greenlight.ops.protocol import PAGE_SIZE, Batch

LAYERS, VOCABULARY, CONTEXT, TOKENS = 3, 16_384, 512, 32
CONFIG: dict[str, Any] = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": VOCABULARY,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "sliding_window": 128,
    "quantization_config": {"quant_method": "mxfp4"},
}


def main() -> None:
    """Write, load, prefill CONTEXT - TOKENS positions, decode TOKENS more; print figures."""
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), np.random.default_rng(0))
        json.dump(measure(Path(folder)), sys.stdout, indent=1)
    print()


def measure(folder: Path) -> dict[str, Any]:
    """Predicted and counted bytes, and seconds."""
    plan = describe(folder).memory(CONTEXT)
    before, start = resident(), time.perf_counter()
    decoder = load_decoder(folder, select_ops("native"))
    loaded, load_s = resident(), time.perf_counter() - start
    pages = decoder.new_pages(CONTEXT // PAGE_SIZE)
    tokens = np.random.default_rng(1).integers(VOCABULARY, size=CONTEXT).astype(np.int32)
    start = time.perf_counter()
    decoder.forward(one_sequence(tokens[: CONTEXT - TOKENS], 0), pages)
    prefill_s, start = time.perf_counter() - start, time.perf_counter()
    for at in range(CONTEXT - TOKENS, CONTEXT):
        decoder.forward(one_sequence(tokens[at : at + 1], at), pages)
    decode_s = time.perf_counter() - start
    return {
        "layers": LAYERS,
        "threads": native.threads(),
        "ops": decoder.ops.identity,
        "plan_mb": {
            "weights": plan.weights_bytes / 1e6,
            "kv": plan.kv_bytes / 1e6,
            "activations": plan.activations_bytes / 1e6,
            "total": plan.total_bytes / 1e6,
        },
        "counted_mb": {"after_load": (loaded - before) / 1e6, "after_decoding": (resident() - before) / 1e6},
        "load_s": load_s,
        "prefill_tokens_per_s": (CONTEXT - TOKENS) / prefill_s,
        "decode_tokens_per_s": TOKENS / decode_s,
    }


def one_sequence(tokens: np.ndarray, past: int) -> Batch:
    """New tokens of a single sequence, of which the last one's logits are asked for."""
    return Batch(
        tokens=tokens,
        starts=np.array([0, len(tokens)], np.int32),
        past=np.array([past], np.int32),
        page_tables=np.arange(CONTEXT // PAGE_SIZE, dtype=np.int32)[None],
        outputs=np.array([len(tokens) - 1], np.int32),
    )


def resident() -> int:
    """Bytes of this process that the kernel counts as resident and its own: files that are mapped can be dropped."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("this system has no /proc/self/status with RssAnon")


def write_model(folder: Path, rng: np.random.Generator) -> None:
    """A folder as its makers publish it: experts in blocks and scales, all else in BF16."""
    (folder / "config.json").write_text(json.dumps(CONFIG))
    entries, at = {}, 0
    for name, dtype, shape in tensors():
        n_bytes = int(np.prod(shape)) * (1 if dtype == "U8" else 2)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + n_bytes]}
        at += n_bytes
    header = json.dumps(entries).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for name, dtype, shape in tensors():
            file.write(values(name, dtype, shape, rng).tobytes())


def values(name: str, dtype: str, shape: list[int], rng: np.random.Generator) -> np.ndarray:
    """Random bytes of one tensor that leave activations of a moderate size."""
    if name.endswith("_scales"):
        return rng.integers(118, 122, shape, np.uint8)
    if dtype == "U8":
        return rng.integers(0, 256, shape, np.uint8)
    spread = 1.0 if name.endswith("norm.weight") else shape[-1] ** -0.5
    wide = spread * rng.standard_normal(shape, np.float32)
    return (wide.view(np.uint32) >> 16).astype(np.uint16)


def tensors() -> Iterator[tuple[str, str, list[int]]]:
    """Name, type and shape of each."""
    C, F, E, V = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["num_local_experts"], VOCABULARY
    q, kv = 64 * CONFIG["num_attention_heads"], 64 * CONFIG["num_key_value_heads"]
    yield "model.embed_tokens.weight", "BF16", [V, C]
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        for part, rows, inputs in (("q", q, C), ("k", kv, C), ("v", kv, C), ("o", C, q)):
            yield f"{prefix}.self_attn.{part}_proj.weight", "BF16", [rows, inputs]
            yield f"{prefix}.self_attn.{part}_proj.bias", "BF16", [rows]
        yield f"{prefix}.self_attn.sinks", "BF16", [CONFIG["num_attention_heads"]]
        yield f"{prefix}.input_layernorm.weight", "BF16", [C]
        yield f"{prefix}.post_attention_layernorm.weight", "BF16", [C]
        yield f"{prefix}.mlp.router.weight", "BF16", [E, C]
        yield f"{prefix}.mlp.router.bias", "BF16", [E]
        for part, rows, inputs in (("gate_up_proj", 2 * F, C), ("down_proj", C, F)):
            yield f"{prefix}.mlp.experts.{part}_blocks", "U8", [E, rows, inputs // 32, 16]
            yield f"{prefix}.mlp.experts.{part}_scales", "U8", [E, rows, inputs // 32]
            yield f"{prefix}.mlp.experts.{part}_bias", "BF16", [E, rows]
    yield "model.norm.weight", "BF16", [C]
    yield "lm_head.weight", "BF16", [V, C]


if __name__ == "__main__":
    main()
