"""Layers of one window share pages; what they hold at once is what was reckoned with."""

from hypothesis import given
from hypothesis import strategies as st

from greenlight.model.kv_groups import KVGroup, group_layers, kv_groups, n_values, page_values
from greenlight.model.load import load_decoder
from greenlight.model.memory import STEP_ROWS
from greenlight.ops.numpy_ops import NumpyOps
from greenlight.ops.protocol import PAGE_SIZE, KVSpec
from tests.model.families import config_of, random_folder


def layers(*windows):
    return [KVSpec(n_kv_heads=2, head_dim=16, window=window) for window in windows]


def test_layers_that_all_see_the_same_are_one_group():
    assert {layer.group for layer in group_layers(layers(*[None] * 5))} == {0}
    assert {layer.group for layer in group_layers(layers(*[128] * 5))} == {0}


def test_one_global_layer_in_six_makes_groups_of_one_size():
    specs = group_layers(layers(*[512] * 5, None, *[512] * 5, None))
    assert [layer.group for layer in specs] == [1, 1, 2, 2, 3, 0, 3, 4, 4, 5, 5, 0]
    groups = kv_groups(specs)
    assert [group.window for group in groups] == [None, *[512] * 5]
    assert page_values(groups) == PAGE_SIZE * 2 * n_values(specs[0])


@given(st.lists(st.sampled_from([None, 16, 512]), min_size=1, max_size=40), st.data())
def test_no_layer_is_lost_and_windows_are_not_mixed(windows, data):
    heads = data.draw(st.lists(st.sampled_from([1, 4]), min_size=len(windows), max_size=len(windows)))
    specs = [KVSpec(n_kv_heads=h, head_dim=8, window=w) for h, w in zip(heads, windows, strict=True)]
    grouped = group_layers(specs)
    assert [(layer.n_kv_heads, layer.window) for layer in grouped] == list(zip(heads, windows, strict=True))
    numbers = {layer.group for layer in grouped}
    assert numbers == set(range(len(numbers)))
    assert len(numbers) <= 8
    assert len({(layer.group, layer.window) for layer in grouped}) == len(numbers)
    groups = kv_groups(grouped)
    assert sum(group.n_values for group in groups) == sum(map(n_values, specs))
    classes = [sum(n_values(s) for s in specs if s.window == w) for w in set(windows)]
    assert page_values(groups) * len(groups) <= PAGE_SIZE * max(classes) * len(classes)


@given(st.integers(1, 200), st.integers(1, 300), st.integers(1, 900), st.randoms(use_true_random=False))
def test_what_is_held_at_once_is_what_was_reckoned_with(window, step, n_positions, random):
    group, computed, most = KVGroup(window, 1), 0, 0
    while computed < n_positions:
        first = group.first_block(computed)
        assert first * PAGE_SIZE <= max(0, computed - window + 1)
        stop = min(n_positions, computed + (random.randint(1, step) if window % 2 else step))
        most = max(most, -(-stop // PAGE_SIZE) - first)
        computed = stop
    assert most <= group.most_blocks(n_positions, step) <= -(-n_positions // PAGE_SIZE)


def test_the_plan_holds_a_window_and_a_step_however_long_the_context(tmp_path):
    config = config_of("mistral", sliding_window=64, max_position_embeddings=8192)
    plan = load_decoder(random_folder(tmp_path / "m", config), NumpyOps()).memory
    reach = (STEP_ROWS + 64) // PAGE_SIZE
    assert reach <= plan(4096).kv_bytes // plan(4096).page_bytes <= reach + 2
    assert plan(8192).kv_bytes == plan(4096).kv_bytes
    assert plan(96, sequences=2).kv_bytes == 2 * 3 * plan(96).page_bytes
