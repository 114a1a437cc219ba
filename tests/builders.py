"""Small files and models for tests: GGUF files written byte by byte, random Llamas in every form that is read.

Nothing here uses the code under test to write what that code reads, except for tensor names and shapes.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from greenlight.model.families.llama import LLAMA
from greenlight.model.fields import Fields
from greenlight.model.load import load_decoder
from greenlight.ops.protocol import PAGE_SIZE, Batch

GGML_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 8, "BF16": 30}


class Typed:
    """A metadata value with its GGUF type: ints default to u32, floats to f32."""

    def __init__(self, type_id: int, value: Any) -> None:
        self.type_id, self.value = type_id, value


# Values to bytes


def encode(values: np.ndarray, kind: str) -> bytes:
    """Values as the bytes of a type; blocks along the last axis, rounded as ggml's reference code does."""
    values = np.ascontiguousarray(values, np.float32)
    match kind:
        case "F32":
            return values.astype("<f4").tobytes()
        case "F16":
            return values.astype("<f2").tobytes()
        case "BF16":
            return to_bf16(values).astype("<u2").tobytes()
    blocks = values.reshape(-1, 32)
    return {"Q4_0": _encode_q4_0, "Q4_1": _encode_q4_1, "Q8_0": _encode_q8_0}[kind](blocks).tobytes()


def to_bf16(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 values, rounded to nearest even, as uint16."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _encode_q4_0(blocks: np.ndarray) -> np.ndarray:
    peak = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)
    scale = peak / np.float32(-8)
    codes = np.minimum(15, np.trunc(blocks * _inverse(scale) + np.float32(8.5))).astype(np.uint8)
    return np.concatenate([_half(scale), _nibbles(codes)], axis=1)


def _encode_q4_1(blocks: np.ndarray) -> np.ndarray:
    low = blocks.min(axis=1, keepdims=True)
    scale = (blocks.max(axis=1, keepdims=True) - low) / np.float32(15)
    codes = np.minimum(15, np.trunc((blocks - low) * _inverse(scale) + np.float32(0.5))).astype(np.uint8)
    return np.concatenate([_half(scale), _half(low), _nibbles(codes)], axis=1)


def _encode_q8_0(blocks: np.ndarray) -> np.ndarray:
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    scaled = blocks * _inverse(scale)
    codes = (np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5))).astype(np.int8)
    return np.concatenate([_half(scale), codes.view(np.uint8)], axis=1)


def _inverse(scale: np.ndarray) -> np.ndarray:
    return np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)


def _half(values: np.ndarray) -> np.ndarray:
    return values.astype("<f2").view(np.uint8)


def _nibbles(codes: np.ndarray) -> np.ndarray:
    return codes[:, :16] | codes[:, 16:] << 4


# GGUF


def write_gguf(
    path: Path,
    metadata: dict[str, Any],
    tensors: dict[str, tuple[str, np.ndarray]],
    *,
    version: int = 3,
    alignment: int = 32,
) -> Path:
    """Write a GGUF file.

    Args:
        path: where.
        metadata: keys and values; wrap one in `Typed` for another type than u32, f32, bool, string or their arrays.
        tensors: name to (type, float32 values with the outermost axis first).
        version: 2 or 3.
        alignment: a power of two; written to the metadata when it is not 32.
    """
    if alignment != 32:
        metadata = {"general.alignment": alignment, **metadata}
    out = bytearray(b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata)))
    for key, value in metadata.items():
        type_id, data = encode_value(value)
        out += gguf_string(key) + struct.pack("<I", type_id) + data
    blobs, offset = [], 0
    for name, (kind, values) in tensors.items():
        blob = encode(values, kind)
        blob += bytes(-len(blob) % alignment)
        out += gguf_string(name) + struct.pack("<I", values.ndim)
        out += struct.pack(f"<{values.ndim}Q", *reversed(values.shape))
        out += struct.pack("<IQ", GGML_TYPES[kind], offset)
        blobs.append(blob)
        offset += len(blob)
    out += bytes(-len(out) % alignment)
    path.write_bytes(bytes(out) + b"".join(blobs))
    return path


def gguf_string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def encode_value(value: Any) -> tuple[int, bytes]:
    if isinstance(value, Typed):
        return value.type_id, struct.pack(f"<{_CODES[value.type_id]}", value.value)
    if isinstance(value, str):
        return 8, gguf_string(value)
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    items = [encode_value(item) for item in value]
    type_id = items[0][0] if items else 4
    return 9, struct.pack("<IQ", type_id, len(items)) + b"".join(data for _, data in items)


# Random Llamas


def llama_config(**changes: Any) -> dict[str, Any]:
    """config.json of a tiny Llama, changed as asked."""
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": 97,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
    } | changes


def llama_weights(config: dict[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random weights by Hugging Face name, far from an initialisation: norms vary, biases are not small."""
    weights = {}
    for name, shape in LLAMA.shapes(LLAMA.config_from_hf(Fields("test", config))).items():
        if name.endswith("norm.weight"):
            values = rng.uniform(0.3, 1.8, shape)
        elif name.endswith(".bias"):
            values = rng.normal(0, 0.5, shape)
        else:
            values = rng.normal(0, 1.2 / math.sqrt(shape[-1]), shape)
        weights[name] = values.astype(np.float32)
    return weights


def write_llama_folder(path: Path, config: dict[str, Any], weights: dict[str, np.ndarray], kind: str = "F32") -> Path:
    """A Hugging Face folder of that model, weights as F32, F16 or BF16."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    write_safetensors(path / "model.safetensors", weights, kind)
    return path


def write_safetensors(path: Path, weights: dict[str, np.ndarray], kind: str = "F32") -> None:
    """One safetensors file."""
    header, blobs, at = {}, [], 0
    for name, values in weights.items():
        blobs.append(encode(values, kind))
        end = at + len(blobs[-1])
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def write_llama_gguf(
    path: Path,
    config: dict[str, Any],
    weights: dict[str, np.ndarray],
    kind: str = "F32",
    metadata: dict[str, Any] | None = None,
    rope_freqs: np.ndarray | None = None,
) -> Path:
    """The GGUF file that llama.cpp's converter would make: q and k rows reordered, norms and biases in F32.

    Rows that do not fill blocks of 32 stay F32. Without a tokenizer in `metadata` the file says that it has none.
    """
    tensors: dict[str, tuple[str, np.ndarray]] = {}
    for name, values in weights.items():
        for part, n_heads in ((".q_proj.", "num_attention_heads"), (".k_proj.", "num_key_value_heads")):
            if part in name:
                values = _interleave(values, config[n_heads])
        fits = values.ndim == 2 and (values.shape[-1] % 32 == 0 or not kind.startswith("Q"))
        tensors[LLAMA.gguf_name(name)] = (kind if fits else "F32", values)
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    rope = {"rope_theta": config.get("rope_theta")} | rope
    if rope.get("rope_type") == "llama3":
        rope_freqs = llama3_factors(config["head_dim"], rope)
    if rope_freqs is not None:
        tensors["rope_freqs.weight"] = ("F32", rope_freqs)
    return write_gguf(path, gguf_metadata(config, rope) | (metadata or {"tokenizer.ggml.model": "none"}), tensors)


def gguf_metadata(config: dict[str, Any], rope: dict[str, Any]) -> dict[str, Any]:
    """llama.* keys for a config.json."""
    keys = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.license": "apache-2.0",
        "llama.vocab_size": config["vocab_size"],
        "llama.context_length": config["max_position_embeddings"],
        "llama.embedding_length": config["hidden_size"],
        "llama.block_count": config["num_hidden_layers"],
        "llama.feed_forward_length": config["intermediate_size"],
        "llama.attention.head_count": config["num_attention_heads"],
        "llama.attention.head_count_kv": config["num_key_value_heads"],
        "llama.attention.key_length": config["head_dim"],
        "llama.attention.value_length": config["head_dim"],
        "llama.attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        "llama.rope.dimension_count": config["head_dim"],
        "llama.rope.freq_base": float(rope["rope_theta"]),
    }
    if rope.get("rope_type") in ("linear", "yarn"):
        keys["llama.rope.scaling.type"] = rope["rope_type"]
        keys["llama.rope.scaling.factor"] = float(rope["factor"])
    if rope.get("rope_type") == "yarn":
        keys["llama.rope.scaling.original_context_length"] = rope["original_max_position_embeddings"]
    return keys


def llama3_factors(head_dim: int, rope: dict[str, Any]) -> np.ndarray:
    """What llama.cpp's converter stores in rope_freqs for Llama 3.1's way of stretching, (head_dim / 2,)."""
    factors = []
    for dim in range(0, head_dim, 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (dim / head_dim)
        turns = rope["original_max_position_embeddings"] / wave
        if turns > rope["high_freq_factor"]:
            factors.append(1.0)
        elif turns < rope["low_freq_factor"]:
            factors.append(rope["factor"])
        else:
            smooth = (turns - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, np.float32)


def _interleave(values: np.ndarray, n_heads: int) -> np.ndarray:
    """Rows of each head from (first halves, second halves) to (pair by pair)."""
    return values.reshape(n_heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def tiny_llama(path: Path, seed: int = 0, kind: str = "F32", **changes: Any) -> Path:
    """A random Llama as a GGUF file at path (without tokenizer)."""
    config = llama_config(**changes)
    return write_llama_gguf(path, config, llama_weights(config, np.random.default_rng(seed)), kind)


def tiny_decoder(folder: Path, ops: Any = None, seed: int = 0, kind: str = "F32", **changes: Any) -> Any:
    """The same, loaded."""
    return load_decoder(tiny_llama(folder / f"tiny-{seed}-{kind}.gguf", seed, kind, **changes), ops)


# Running them


def one_sequence(tokens: Any, past: int = 0, outputs: Any = None, first_page: int = 0) -> Batch:
    """A batch of one sequence whose pages lie in order from first_page; by default all rows give logits."""
    tokens = np.asarray(tokens, np.int32)
    n_pages = -(-(past + len(tokens)) // PAGE_SIZE)
    return Batch(
        tokens=tokens,
        starts=np.array([0, len(tokens)], np.int32),
        past=np.array([past], np.int32),
        page_tables=np.arange(first_page, first_page + n_pages, dtype=np.int32)[None],
        outputs=np.arange(len(tokens), dtype=np.int32) if outputs is None else np.asarray(outputs, np.int32),
    )


def all_logits(decoder: Any, tokens: Any) -> np.ndarray:
    """Logits after every token of one sequence, in one pass, (T, V)."""
    return decoder.forward(one_sequence(tokens), decoder.new_pages(-(-len(tokens) // PAGE_SIZE)))
