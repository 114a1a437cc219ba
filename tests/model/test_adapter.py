import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import FormatError, GreenlightError, UnsupportedError
from greenlight.model.adapter import read_adapter
from greenlight.model.adapting import adapt, adapter_of
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.load import describe, load_decoder
from greenlight.ops import select_ops
from greenlight.ops.native import available
from tests.builders import (
    all_logits,
    llama_config,
    llama_weights,
    write_llama_folder,
    write_llama_gguf,
    write_safetensors,
)

NUMPY = select_ops("numpy")
TOKENS = [1, 5, 9, 3, 7, 2, 11]
ALL = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
OPS = ["numpy", pytest.param("native", marks=pytest.mark.skipif(not available(), reason="no native kernels"))]


@pytest.fixture
def config():
    return llama_config()


@pytest.fixture
def weights(config):
    return llama_weights(config, np.random.default_rng(0))


def deltas(weights, modules=ALL, rank=4, seed=1, layers=None):
    rng, found = np.random.default_rng(seed), {}
    for name, weight in weights.items():
        module = name.removesuffix(".weight")
        if module.endswith(tuple(modules)) and (layers is None or int(module.split(".")[2]) in layers):
            found[module] = (
                rng.normal(0, 0.2, (rank, weight.shape[1])).astype(np.float32),
                rng.normal(0, 0.2, (weight.shape[0], rank)).astype(np.float32),
            )
    return found


def write_adapter(path, pairs, *, infix="", more=None, **settings):
    path.mkdir(parents=True, exist_ok=True)
    targets = sorted({module.rpartition(".")[2] for module in pairs})
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": targets, "bias": "none", **settings}
    (path / "adapter_config.json").write_text(json.dumps(config))
    tensors = {}
    for module, (a, b) in pairs.items():
        tensors[f"base_model.model.{module}.lora_A{infix}.weight"] = a
        tensors[f"base_model.model.{module}.lora_B{infix}.weight"] = b
    write_safetensors(path / "adapter_model.safetensors", {**tensors, **(more or {})})
    return path


def by_hand(weights, pairs, scale=2.0):
    return {
        name: weight + scale * pairs[module][1] @ pairs[module][0]
        if (module := name.removesuffix(".weight")) in pairs
        else weight
        for name, weight in weights.items()
    }


def logits(path, ops, **options):
    return all_logits(load_decoder(path, select_ops(ops), **options), TOKENS)


def near(ours, expected):
    np.testing.assert_allclose(ours, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("how", ["merged", "beside"])
@pytest.mark.parametrize("modules", [ALL, ("q_proj", "v_proj"), ("up_proj",), ("o_proj", "gate_proj")])
def test_a_delta_reaches_its_own_rows_in_the_weights_and_beside_them(tmp_path, config, weights, ops, how, modules):
    pairs = deltas(weights, modules)
    base = write_llama_folder(tmp_path / "base", config, weights)
    expected = logits(write_llama_folder(tmp_path / "sum", config, by_hand(weights, pairs)), ops)
    adapter = write_adapter(tmp_path / "adapter", pairs)
    near(logits(base, ops, adapter=adapter, how=how), expected)
    assert np.abs(logits(base, ops) - expected).max() > 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("ops", OPS)
def test_a_gguf_base_takes_the_same_adapter_though_its_rows_lie_in_another_order(tmp_path, config, weights, ops):
    pairs = deltas(weights)
    adapter = write_adapter(tmp_path / "adapter", pairs)
    expected = logits(write_llama_folder(tmp_path / "sum", config, by_hand(weights, pairs)), ops)
    base = write_llama_gguf(tmp_path / "base.gguf", config, weights)
    for how in ("merged", "beside"):
        near(logits(base, ops, adapter=adapter, how=how), expected)


@pytest.mark.parametrize("ops", OPS)
def test_several_adapters_add_their_deltas_each_at_its_own_scale(tmp_path, config, weights, ops):
    first, second = deltas(weights, seed=1), deltas(weights, ("q_proj", "down_proj"), rank=2, seed=2, layers=[1])
    paths = [
        write_adapter(tmp_path / "a", first, lora_alpha=8),
        write_adapter(tmp_path / "b", second, r=2, lora_alpha=3, target_modules="all-linear"),
    ]
    summed = by_hand(by_hand(weights, first, 2.0), second, 1.5)
    expected = logits(write_llama_folder(tmp_path / "sum", config, summed), ops)
    base = write_llama_folder(tmp_path / "base", config, weights)
    for how in ("merged", "beside"):
        near(logits(base, ops, adapter=paths, how=how), expected)


def test_an_adapter_that_replaces_what_another_changes_is_refused(tmp_path, config, weights):
    base = open_checkpoint(write_llama_folder(tmp_path / "base", config, weights))
    pairs = deltas(weights, ("q_proj",))
    module = next(iter(pairs))
    whole = {f"base_model.model.{module}.weight": weights[f"{module}.weight"]}
    others = deltas(weights, ("v_proj",))
    first = write_adapter(tmp_path / "a", pairs)
    second = write_adapter(tmp_path / "b", others, more=whole, modules_to_save=["q_proj"])
    for paths in ([first, second], [second, first], [second, second]):
        with pytest.raises(FormatError, match="replaces whole") as caught:
            adapter_of(paths, base)
        assert module in (caught.value.found or "")


def test_an_adapter_is_held_against_the_model_though_another_stands_before_it(tmp_path, config, weights):
    base = open_checkpoint(write_llama_folder(tmp_path / "base", config, weights))
    pairs = deltas(weights, ("q_proj",))
    path = write_adapter(tmp_path / "b", {"model.layers.9.self_attn.q_proj": next(iter(pairs.values()))})
    with pytest.raises(FormatError, match="no home") as caught:
        adapter_of([write_adapter(tmp_path / "a", pairs), path], base)
    assert str(path) in (caught.value.where or "")


@pytest.mark.parametrize("ops", OPS)
def test_quantised_weights_stay_quantised_and_a_merge_says_that_it_widens(tmp_path, config, weights, ops):
    pairs = deltas(weights)
    adapter = read_adapter(write_adapter(tmp_path / "adapter", pairs))
    checkpoint = open_checkpoint(write_llama_gguf(tmp_path / "base.gguf", config, weights, "Q8_0"))
    adapted = adapt(checkpoint, adapter)
    assert (set(adapted.beside), adapted.merged, adapted.widened) == (set(pairs), (), ())
    merged = adapt(checkpoint, adapter, "merged")
    assert set(merged.widened) == set(pairs)
    beside, into = (
        all_logits(load_decoder(checkpoint, select_ops(ops), adapter=adapter, how=how), TOKENS)
        for how in ("beside", "merged")
    )
    np.testing.assert_allclose(beside, into, atol=0.05 * np.abs(into).max())


def test_beside_native_weights_a_row_has_the_same_bits_in_any_batch(tmp_path, config, weights):
    if not available():
        pytest.skip("no native kernels")
    adapter = write_adapter(tmp_path / "adapter", deltas(weights))
    decoder = load_decoder(write_llama_gguf(tmp_path / "b.gguf", config, weights, "Q8_0"), adapter=adapter)
    np.testing.assert_array_equal(all_logits(decoder, TOKENS)[:3], all_logits(decoder, TOKENS[:3]))


def test_scales_follow_patterns_and_rank_stabilisation(tmp_path, weights):
    pairs = {**deltas(weights, ("q_proj",), rank=4), **deltas(weights, ("v_proj",), rank=2, layers=[0])}
    pairs |= deltas(weights, ("v_proj",), rank=4, layers=[1])
    path = write_adapter(
        tmp_path,
        pairs,
        use_rslora=True,
        rank_pattern={"layers.0.self_attn.v_proj": 2},
        alpha_pattern={"^model.layers.1.self_attn.q_proj": 3},
    )
    adapter = read_adapter(path)
    for module, alpha, rank in (
        ("0.self_attn.q_proj", 8, 4),
        ("1.self_attn.q_proj", 3, 4),
        ("0.self_attn.v_proj", 8, 2),
    ):
        module = f"model.layers.{module}"
        np.testing.assert_allclose(adapter.deltas[module].b, pairs[module][1] * alpha / rank**0.5, rtol=1e-6)


def test_what_peft_writes_of_its_own_accord_changes_nothing(tmp_path, weights):
    usual = {"megatron_core": "megatron.core", "loftq_config": {}, "qalora_group_size": 16, "use_qalora": False}
    more = {"lora_dropout": 0.1, "peft_version": "0.21.2", "corda_config": None, "init_lora_weights": True}
    assert read_adapter(write_adapter(tmp_path, deltas(weights), **usual, **more)).deltas


@pytest.mark.parametrize("infix", ["", ".default", ".mine"])
def test_names_are_read_as_peft_writes_them(tmp_path, weights, infix):
    pairs = deltas(weights)
    assert read_adapter(write_adapter(tmp_path, pairs, infix=infix)).deltas.keys() == pairs.keys()


@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("tied", [False, True])
def test_whole_modules_that_were_trained_replace_the_bases(tmp_path, ops, tied):
    config = llama_config(tie_word_embeddings=tied)
    weights = llama_weights(config, np.random.default_rng(0))
    head = np.random.default_rng(5).normal(0, 0.1, weights["model.embed_tokens.weight"].shape).astype(np.float32)
    norm = np.full_like(weights["model.norm.weight"], 0.5)
    more = {"base_model.model.lm_head.weight": head, "base_model.model.model.norm.weight": norm}
    pairs = deltas(weights, ("q_proj",))
    path = write_adapter(tmp_path / "a", pairs, more=more, modules_to_save=["lm_head", "norm"])
    whole = {**by_hand(weights, pairs), "lm_head.weight": head, "model.norm.weight": norm}
    expected = logits(write_llama_folder(tmp_path / "w", {**config, "tie_word_embeddings": False}, whole), ops)
    near(logits(write_llama_folder(tmp_path / "b", config, weights), ops, adapter=path), expected)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"lora_bias": True}, "lora_bias"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"target_parameters": ["x"]}, "target_parameters"),
        ({"some_new_thing": 3}, "some_new_thing"),
        ({"init_lora_weights": "pissa_niter_4"}, "begins in a way"),
        ({"rank_pattern": {"(a+)+$": 2}}, "pattern"),
        ({"r": 3}, "another rank"),
        ({"r": 0}, "impossible"),
        ({"r": True}, "impossible"),
        ({"lora_alpha": "8"}, "impossible"),
        ({"lora_alpha": None}, "impossible"),
        ({"use_rslora": "no"}, "use_rslora"),
        ({"alpha_pattern": [1]}, "no table"),
        ({"target_modules": {"a": 1}}, "target_modules"),
        ({"modules_to_save": "lm_head"}, "modules_to_save"),
    ],
)
def test_a_setting_that_changes_the_result_is_refused_by_name(tmp_path, weights, settings, match):
    path = write_adapter(tmp_path, deltas(weights), **settings)
    with pytest.raises((UnsupportedError, FormatError), match=match):
        read_adapter(path)


def test_what_has_no_home_or_another_shape_or_is_missing_is_named(tmp_path, config, weights):
    base = open_checkpoint(write_llama_folder(tmp_path / "base", config, weights))
    pairs = deltas(weights)
    first = next(iter(pairs))
    cases = {
        "no home": {**pairs, "model.layers.9.self_attn.q_proj": pairs[first]},
        "another shape": {**pairs, first: (pairs[first][0][:, 1:], pairs[first][1])},
        "lacks deltas": {module: pair for module, pair in pairs.items() if module != first},
    }
    for number, (match, changed) in enumerate(cases.items()):
        path = write_adapter(tmp_path / str(number), changed, base_model_name_or_path="acme/other")
        with pytest.raises(FormatError, match=match) as caught:
            adapt(base, read_adapter(path))
        assert "acme/other" in (caught.value.do or "")


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"base_model.model.lm_head.weight": np.ones((2, 2), np.float32)}, "neither low-rank"),
        ({"base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector": np.ones(2, np.float32)}, "neither"),
        ({"base_model.model.model.x.lora_A.weight": np.ones((4, 2), np.float32)}, "half"),
        ({"base_model.model.x.lora_A.other.weight": np.ones((4, 2), np.float32)}, "several"),
    ],
)
def test_other_tensors_are_named(tmp_path, weights, more, match):
    with pytest.raises(GreenlightError, match=match):
        read_adapter(write_adapter(tmp_path, deltas(weights), more=more))


def test_values_that_are_no_numbers_are_refused(tmp_path, weights):
    pairs = deltas(weights)
    pairs[next(iter(pairs))][0][0, 0] = np.nan
    with pytest.raises(FormatError, match="no numbers"):
        read_adapter(write_adapter(tmp_path, pairs))


def test_pickled_weights_are_refused_with_the_way_out(tmp_path, weights):
    path = write_adapter(tmp_path, deltas(weights))
    (path / "adapter_model.safetensors").rename(path / "adapter_model.bin")
    with pytest.raises(FormatError, match="safetensors") as caught:
        read_adapter(path)
    assert "safe_serialization" in (caught.value.do or "")


# Any adapter

SETTINGS = (
    *("peft_type", "r", "lora_alpha", "target_modules", "bias", "use_rslora", "rank_pattern", "alpha_pattern"),
    *("fan_in_fan_out", "modules_to_save", "init_lora_weights", "layers_to_transform", "use_dora", "base_model_name"),
    *("base_model_name_or_path", "exclude_modules", "layers_pattern", "lora_bias"),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 9),
    st.sampled_from(
        [0, 10**30, 10**400, -1, 0.5, 1e-320, 1e308, 1e38, -0.0, "", "LORA", "none", "q_proj", "(a+)+", "."]
    ),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(["", ".", "q_proj", "(a+)+$", "model.norm", "^o_proj"]), SCALARS, max_size=2),
)
PARTS = st.sampled_from(
    [
        *(
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "model.layers.0.self_attn.q_proj.lora_A.weight",
        ),
        *("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", "base_model.model.lm_head.lora_A.weight"),
        *("base_model.model.model.norm.weight", "model.embed_tokens.lora_embedding_A", "lm_head.weight", "", ".weight"),
        *("base_model.model.model.layers.00.self_attn.q_proj.lora_A.weight", "lora_A.weight", "x.lora_A.a.b.weight"),
        "base_model.model.model.norm.modules_to_save.default.weight",
    ]
)
SHAPES = st.lists(st.integers(0, 8), max_size=3)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An opened model, and the settings and tensors of an adapter that fits it."""
    path = tmp_path_factory.mktemp("small")
    config = llama_config(hidden_size=8, intermediate_size=6, num_hidden_layers=1, vocab_size=5, head_dim=2)
    weights = llama_weights(config, np.random.default_rng(0))
    pairs = deltas(weights)
    adapter = write_adapter(path / "adapter", pairs)
    said = json.loads((adapter / "adapter_config.json").read_text())
    tensors = {
        f"base_model.model.{name}.lora_{which}.weight": pair["AB".index(which)]
        for name, pair in pairs.items()
        for which in "AB"
    }
    return open_checkpoint(write_llama_folder(path / "base", config, weights)), said, tensors, path / "any"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_settings_and_tensors_give_an_adapted_model_or_one_error(small, data):
    checkpoint, said, tensors, path = small
    said, tensors = dict(said), dict(tensors)
    for name in data.draw(st.lists(st.sampled_from(SETTINGS), max_size=3)):
        said[name] = data.draw(VALUES)
    for name in data.draw(st.lists(PARTS | st.sampled_from(sorted(tensors)), max_size=2)):
        tensors[name] = np.full(data.draw(SHAPES), data.draw(st.sampled_from([1.0, 1e38, np.inf])), np.float32)
    for name in data.draw(st.lists(st.sampled_from(sorted(tensors)), max_size=1)):
        del tensors[name]
    path.mkdir(exist_ok=True)
    (path / "adapter_config.json").write_text(json.dumps(said))
    write_safetensors(path / "adapter_model.safetensors", tensors)
    error = None
    try:
        adapted = adapt(checkpoint, read_adapter(path), data.draw(st.sampled_from(["auto", "merged", "beside"])))
        logits = all_logits(load_decoder(adapted.checkpoint, NUMPY), [0, 4, 2])
    except GreenlightError as caught:
        error = caught
    assert logits.shape == (3, 5) if error is None else error.where


def test_one_module_twice_is_refused(tmp_path, weights):
    """Two names of one place, as wrappers of text models give: which of them counts, nobody knows."""
    pairs = deltas(weights, ("q_proj",))
    module, (a, b) = next(iter(pairs.items()))
    other = module.replace("model.layers", "model.language_model.layers")
    twice = {
        f"base_model.model.{other}.lora_{which}.weight": values for which, values in zip("AB", (a, b), strict=True)
    }
    with pytest.raises(FormatError, match="twice"):
        read_adapter(write_adapter(tmp_path / "adapter", pairs, more=twice))
    head = {f"base_model.model.{start}lm_head.weight": np.ones((5, 4), np.float32) for start in ("", "language_model.")}
    with pytest.raises(FormatError, match="twice"):
        read_adapter(write_adapter(tmp_path / "again", pairs, more=head, modules_to_save=["lm_head"]))


@pytest.mark.parametrize("name", ["r", "lora_alpha"])
def test_numbers_that_no_float_holds_are_refused(tmp_path, weights, name):
    adapter = write_adapter(tmp_path / "adapter", deltas(weights), **{name: 10**400})
    with pytest.raises(FormatError, match="impossible value"):
        read_adapter(adapter)


def test_the_memory_plan_counts_sums_in_float32_and_deltas_beside(tmp_path, config, weights):
    pairs = deltas(weights, ("q_proj",))
    adapter = read_adapter(write_adapter(tmp_path / "a", pairs))
    folder = write_llama_folder(tmp_path / "hf", config, weights, "BF16")
    file = write_llama_gguf(tmp_path / "m.gguf", config, weights, "Q8_0")
    for path, more in (
        (folder, sum(2 * b.shape[0] * a.shape[1] for a, b in pairs.values())),
        (file, sum(a.nbytes + b.nbytes for a, b in pairs.values())),
    ):
        plain, adapted = open_checkpoint(path), adapt(open_checkpoint(path), adapter).checkpoint
        assert describe(adapted).memory(64).weights_bytes - describe(plain).memory(64).weights_bytes == more


# What adapters of wholes and of tied heads hold beside pairs


def test_what_an_adapter_changes_of_a_vision_part_is_left_out_and_told(tmp_path, config, weights):
    model, pairs = write_llama_folder(tmp_path / "m", config, weights), deltas(weights)
    seen = {"model.vision_tower.encoder.layers.0.self_attn.q_proj": (np.ones((4, 3)), np.ones((5, 4)))}
    alone = write_adapter(tmp_path / "a", pairs)
    whole = write_adapter(tmp_path / "b", pairs | seen)
    adapter = adapter_of([whole], open_checkpoint(model))
    adapted = adapt(open_checkpoint(model), adapter).checkpoint
    assert adapted.left_out == ("vision part of the adapter, 2 tensors",)
    np.testing.assert_array_equal(logits(model, "numpy", adapter=whole), logits(model, "numpy", adapter=alone))
    with pytest.raises(FormatError, match="changes nothing of the text model") as caught:
        read_adapter(write_adapter(tmp_path / "c", seen))
    assert caught.value.do


def test_a_head_saved_whole_beside_its_pair_is_the_one_that_the_pair_is_added_to(tmp_path, config, weights):
    config = config | {"tie_word_embeddings": True}
    tied = {name: values for name, values in weights.items() if name != "lm_head.weight"}
    embedding = weights["model.embed_tokens.weight"]
    pairs = deltas({"lm_head.weight": embedding}, modules=("lm_head",))
    more = {"base_model.model.lm_head.base_layer.weight": embedding}
    adapter = write_adapter(tmp_path / "a", pairs, more=more)
    model = write_llama_folder(tmp_path / "m", config, tied)
    by_itself = weights | by_hand({"lm_head.weight": embedding}, pairs)
    untied = write_llama_folder(tmp_path / "n", config | {"tie_word_embeddings": False}, by_itself)
    near(logits(model, "numpy", adapter=adapter), logits(untied, "numpy"))


def test_a_setting_that_is_not_computed_says_how_to_come_by_a_model(tmp_path, weights):
    with pytest.raises(UnsupportedError, match="use_dora") as caught:
        read_adapter(write_adapter(tmp_path / "a", deltas(weights), use_dora=True))
    assert "merge_and_unload" in caught.value.do
