"""What llama.cpp computes from a GGUF file: logits after every token of a prompt."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import llama_cpp
import numpy as np

from greenlight.model.checkpoint import Checkpoint
from greenlight.model.rope import YarnScaling


@llama_cpp.llama_log_callback
def quiet(level: int, text: bytes, data: object) -> None:
    """Say nothing."""


llama_cpp.llama_log_set(quiet, None)


def llama_cpp_logits(path: Path, tokens: np.ndarray, *loras: Path) -> np.ndarray:
    """Logits after every token, float32 cache, no flash attention; with LoRA adapters at their own scales."""
    model_params = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params)
    assert model, "llama.cpp refuses the file"
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 256
    params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
    params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, params)
    _set_adapters(model, context, loras)
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    try:
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = int(token), i, 1, 1
            batch.seq_id[i][0] = 0
        assert llama_cpp.llama_decode(context, batch) == 0
        size = len(tokens) * llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        flat = ctypes.cast(llama_cpp.llama_get_logits(context), ctypes.POINTER(ctypes.c_float * size))
        return np.array(flat.contents, np.float32).reshape(len(tokens), -1)
    finally:
        llama_cpp.llama_batch_free(batch)
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)


def _set_adapters(model: object, context: object, loras: tuple[Path, ...]) -> None:
    """Apply adapters; the model frees them."""
    held = [llama_cpp.llama_adapter_lora_init(model, str(path).encode()) for path in loras]
    assert all(held), "llama.cpp refuses an adapter"
    if held:
        adapters = (llama_cpp.llama_adapter_lora_p_ctypes * len(held))(*held)
        scales = (ctypes.c_float * len(held))(*[1.0] * len(held))
        assert llama_cpp.llama_set_adapters_lora(context, adapters, len(held), scales) == 0


def with_rounded_bounds(checkpoint: Checkpoint) -> Checkpoint:
    """A gpt-oss as llama.cpp takes it: no key says that it was trained without rounding YaRN's bounds."""
    config = checkpoint.config
    if config.family != "gpt_oss" or not isinstance(config.rope.scaling, YarnScaling):
        return checkpoint
    assert not config.rope.scaling.truncate
    rope = replace(config.rope, scaling=replace(config.rope.scaling, truncate=True))
    return replace(checkpoint, config=replace(config, rope=rope))
