import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import FormatError, GreenlightError, UnsupportedError
from greenlight.model.adapter_gguf import in_model, read_gguf_adapter
from greenlight.model.adapting import adapt, adapter_of
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.families.llama import LLAMA
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from tests.builders import (
    all_logits,
    llama_config,
    llama_weights,
    write_gguf,
    write_llama_folder,
    write_llama_gguf,
)
from tests.model.families import config_of, random_folder
from tests.model.test_adapter import OPS, by_hand, deltas, logits, near, write_adapter

KEYS = {
    "general.architecture": "llama",
    "general.type": "adapter",
    "adapter.type": "lora",
    "adapter.lora.alpha": 8.0,
    "general.base_model.0.name": "Acme 1B",
}
Q, K = "blk.0.attn_q.weight", "blk.0.attn_k.weight"


@pytest.fixture
def config():
    return llama_config()


@pytest.fixture
def weights(config):
    return llama_weights(config, np.random.default_rng(0))


def halves(pairs, config=None, kind="F32"):
    """Tensors of a file: rows of q and k as llama.cpp's converter lays them, where the config says how many heads."""
    tensors = {}
    for module, (a, b) in pairs.items():
        for part, heads in ((".q_proj", "num_attention_heads"), (".k_proj", "num_key_value_heads")):
            if config and part in module:
                n_heads = config[heads]
                b = b.reshape(n_heads, 2, -1, b.shape[1]).swapaxes(1, 2).reshape(b.shape)
        weight = LLAMA.gguf_name(f"{module}.weight")
        tensors |= {f"{weight}.lora_a": (kind, a), f"{weight}.lora_b": (kind, b)}
    return tensors


def write_lora(path, tensors, **keys):
    said = {**KEYS, **{name.replace("__", "."): value for name, value in keys.items()}}
    return write_gguf(path, {name: value for name, value in said.items() if value is not None}, tensors)


@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("base", ["folder", "gguf", "gguf Q8_0"])
def test_it_is_the_same_adapter_as_pefts_folder_on_any_form_of_the_model(tmp_path, config, weights, ops, base):
    pairs = deltas(weights)
    folder, file = (
        write_adapter(tmp_path / "peft", pairs),
        write_lora(tmp_path / "lora.gguf", halves(pairs, config)),
    )
    if base == "folder":
        path = write_llama_folder(tmp_path / "base", config, weights)
    else:
        path = write_llama_gguf(tmp_path / "base.gguf", config, weights, base.removeprefix("gguf").strip() or "F32")
    for how in ("merged", "beside"):
        ours = logits(path, ops, adapter=file, how=how)
        np.testing.assert_array_equal(ours, logits(path, ops, adapter=folder, how=how))
    if base == "folder":
        near(ours, logits(write_llama_folder(tmp_path / "sum", config, by_hand(weights, pairs)), ops))


def test_deltas_of_another_order_of_rows_are_another_adapter(tmp_path, config, weights):
    """The order matters: read in Hugging Face's order, the same file would be something else."""
    pairs = deltas(weights, ("q_proj", "k_proj"))
    base = write_llama_folder(tmp_path / "base", config, weights)
    right = write_lora(tmp_path / "a.gguf", halves(pairs, config))
    wrong = write_lora(tmp_path / "b.gguf", halves(pairs))
    read = [adapter_of([path], open_checkpoint(base)).deltas for path in (right, wrong)]
    for module, (_, b) in pairs.items():
        np.testing.assert_array_equal(read[0][module].b, 2 * b)
        assert np.abs(read[1][module].b - 2 * b).max() > 0.1


@pytest.mark.parametrize(
    "case", ["mistral", "qwen2", "qwen3", "gemma3", "gemma4", "olmo3", "ministral3", "mixtral", "qwen3 moe", "gpt-oss"]
)
def test_every_family_finds_its_own_weights(tmp_path, case):
    path = random_folder(tmp_path / "base", config_of(case))
    checkpoint = open_checkpoint(path)
    names = [n for n in checkpoint.tensors if n.endswith(("q_proj.weight", "o_proj.weight", "down_proj.weight"))]
    linears = [name for name in names if len(checkpoint.tensors[name].shape) == 2]
    rng, tensors = np.random.default_rng(3), {}
    for name in linears:
        rows, columns = checkpoint.tensors[name].shape
        weight = checkpoint.family.gguf_name(name)
        tensors[f"{weight}.lora_a"] = ("F32", rng.normal(size=(2, columns)).astype(np.float32))
        tensors[f"{weight}.lora_b"] = ("F32", rng.normal(size=(rows, 2)).astype(np.float32))
    architecture = checkpoint.family.gguf_metadata(checkpoint.config)["general.architecture"]
    file = write_lora(tmp_path / "lora.gguf", tensors, general__architecture=architecture)
    assert {f"{module}.weight" for module in adapter_of([file], checkpoint).deltas} == set(linears)
    plain, adapted = (all_logits(load_decoder(path, select_ops("numpy"), adapter=a), [1, 5, 9]) for a in (None, file))
    assert np.abs(plain - adapted).max() > 1e-3


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_halves_in_sixteen_bits_are_read(tmp_path, weights, kind):
    pairs = deltas(weights, ("v_proj",), rank=2)
    read = read_gguf_adapter(write_lora(tmp_path / "lora.gguf", halves(pairs, kind=kind)))
    for module, (a, b) in pairs.items():
        pair = read.pairs[LLAMA.gguf_name(f"{module}.weight")]
        np.testing.assert_allclose(pair.a, a, rtol=1e-2)
        np.testing.assert_allclose(pair.b, 4 * b, rtol=1e-2)


@pytest.mark.parametrize(
    ("keys", "match", "where"),
    [
        ({"general__type": "model"}, "holds no adapter", "general.type"),
        ({"general__type": None}, "holds no adapter", "general.type"),
        ({"general__type": 3}, "impossible", "general.type"),
        ({"adapter__type": "dora"}, "dora", "adapter.type"),
        ({"adapter__type": None}, "unknown", "adapter.type"),
        ({"adapter__lora__alpha": None}, "does not say its scale", "adapter.lora.alpha"),
        ({"adapter__lora__alpha": 0.0}, "impossible", "adapter.lora.alpha"),
        ({"adapter__lora__alpha": float("nan")}, "impossible", "adapter.lora.alpha"),
        ({"adapter__lora__alpha": "8"}, "impossible", "adapter.lora.alpha"),
        ({"adapter__lora__alpha": True}, "impossible", "adapter.lora.alpha"),
        ({"adapter__alora__invocation_tokens": [1, 2]}, "invocation_tokens", "adapter.alora.invocation_tokens"),
        ({"general__architecture": None}, "what models it is for", "general.architecture"),
        ({"split__count": 2}, "split.count", "split.count"),
    ],
)
def test_what_a_file_says_amiss_is_named_with_its_key(tmp_path, weights, keys, match, where):
    path = write_lora(tmp_path / "lora.gguf", halves(deltas(weights, ("v_proj",))), **keys)
    with pytest.raises((FormatError, UnsupportedError), match=match) as caught:
        read_gguf_adapter(path)
    assert caught.value.where == f"{path}, {where}"
    assert caught.value.do


ONES = {name: np.ones(shape, np.float32) for name, shape in (("a", (4, 64)), ("b", (64, 4)), ("v", (64,)))}


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({f"{Q}.lora_a": ONES["a"]}, "half"),
        ({f"{Q}.lora_a": ONES["a"], f"{Q}.lora_b": np.ones((64, 3), np.float32)}, "different ranks"),
        ({f"{Q}.lora_a": ONES["a"] * np.inf, f"{Q}.lora_b": ONES["b"]}, "no numbers"),
        ({f"{Q}.lora_a": ONES["a"], f"{Q}.lora_b": ONES["b"] * np.float32(3e38)}, "no numbers"),
        ({"blk.0.attn_norm.weight": ONES["v"]}, "no half"),
        ({f"{Q}.lora_c": ONES["a"]}, "no half"),
        ({"token_embd.weight.lora_a": ONES["a"]}, "embeddings"),
        ({"blk.0.ffn_up_exps.weight.lora_a": np.ones((2, 4, 64), np.float32)}, "experts"),
        ({f"{Q}.lora_a": ONES["v"]}, "experts"),
    ],
)
def test_tensors_that_are_no_pair_are_named(tmp_path, more, match):
    path = write_lora(tmp_path / "lora.gguf", {name: ("F32", values) for name, values in more.items()})
    with pytest.raises((FormatError, UnsupportedError), match=match) as caught:
        read_gguf_adapter(path)
    assert str(path) in (caught.value.where or "")
    assert next(iter(more)).rpartition(".lora")[0] in (caught.value.where or "")


@pytest.mark.parametrize(
    ("change", "keys", "match"),
    [
        ({"blk.7.attn_q.weight": (ONES["a"], ONES["b"])}, {}, "no home"),
        ({"blk.0.attn_q.bias": (ONES["a"], ONES["b"])}, {}, "no home"),
        ({"model.layers.0.self_attn.q_proj.weight": (ONES["a"], ONES["b"])}, {}, "no home"),
        ({K: (ONES["a"], ONES["b"])}, {}, "another shape"),
        ({Q: (ONES["a"], ONES["b"])}, {"general__architecture": "qwen3"}, "another architecture"),
    ],
)
@pytest.mark.parametrize("form", ["folder", "gguf"])
def test_what_does_not_fit_the_model_is_named(tmp_path, config, weights, change, keys, match, form):
    write = write_llama_folder if form == "folder" else write_llama_gguf
    checkpoint = open_checkpoint(write(tmp_path / f"base.{form}", config, weights))
    tensors = {f"{w}.lora_{'ab'[i]}": ("F32", v) for w, pair in change.items() for i, v in enumerate(pair)}
    path = write_lora(tmp_path / "lora.gguf", tensors, **keys)
    with pytest.raises(FormatError, match=match) as caught:
        adapter_of([path], checkpoint)
    assert caught.value.found
    assert "Acme 1B" in (caught.value.do or "")
    assert str(path) in (caught.value.where or "")


def test_a_file_without_pairs_changes_nothing_and_is_refused(tmp_path):
    with pytest.raises(FormatError, match="changes nothing"):
        read_gguf_adapter(write_lora(tmp_path / "lora.gguf", {}))


def test_an_adapter_is_no_model(tmp_path, weights):
    path = write_lora(tmp_path / "lora.gguf", halves(deltas(weights, ("v_proj",))))
    with pytest.raises(FormatError, match="an adapter, no model") as caught:
        open_checkpoint(path)
    assert "MODEL+ADAPTER" in (caught.value.do or "")


# Any file

SCALARS = st.sampled_from(["llama", "lora", "adapter", "", "gemma3", 0, 1, 8.0, -2.0, 0.0, 1e38, True, [1, 2], ["a"]])
NAMES = st.sampled_from(
    [
        *(f"{Q}.lora_a", f"{Q}.lora_b", f"{K}.lora_b", "output.weight.lora_a", "output.weight.lora_b", Q, ".lora_a"),
        *("blk.1.attn_q.weight.lora_a", "blk.0.attn_norm.weight.lora_a", "token_embd.weight.lora_b", "a.lora_a.lora_b"),
    ]
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small")
    config = llama_config(hidden_size=8, intermediate_size=6, num_hidden_layers=1, vocab_size=5, head_dim=2)
    weights = llama_weights(config, np.random.default_rng(0))
    tensors = halves(deltas(weights), config)
    return open_checkpoint(write_llama_folder(path / "base", config, weights)), tensors, path / "any.gguf"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_keys_and_tensors_give_an_adapted_model_or_one_error(small, data):
    checkpoint, tensors, path = small
    keys, tensors = dict(KEYS), dict(tensors)
    for name in data.draw(st.lists(st.sampled_from([*KEYS, "adapter.new", "split.count"]), max_size=2)):
        keys[name] = data.draw(SCALARS)
    for name in data.draw(st.lists(NAMES | st.sampled_from(sorted(tensors)), max_size=2)):
        shape = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))
        tensors[name] = ("F32", np.full(shape, data.draw(st.sampled_from([1.0, 1e38, np.inf])), np.float32))
    for name in data.draw(st.lists(st.sampled_from(sorted(tensors)), max_size=1)):
        del tensors[name]
    write_gguf(path, keys, tensors)
    error = None
    try:
        adapted = adapt(checkpoint, adapter_of([path], checkpoint), data.draw(st.sampled_from(["auto", "merged"])))
        logits = all_logits(load_decoder(adapted.checkpoint, select_ops("numpy")), [0, 4, 2])
    except GreenlightError as caught:
        error = caught
    assert logits.shape == (3, 5) if error is None else error.where


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 4000), byte=st.integers(0, 255), cut=st.integers(0, 4000))
def test_any_damaged_byte_gives_an_adapter_or_one_error(small, at, byte, cut):
    checkpoint, tensors, path = small
    data = bytearray(write_gguf(path, KEYS, tensors).read_bytes())
    data[at % len(data)] = byte
    path.write_bytes(data[: max(1, len(data) - cut // 20 * (cut % 3 == 0))])
    error = None
    try:
        in_model(read_gguf_adapter(path), checkpoint)
    except GreenlightError as caught:
        error = caught
    assert error is None or error.where
