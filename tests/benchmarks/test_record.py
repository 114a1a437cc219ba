"""Runs are kept as they come, and RESULTS.md is what is made of them."""

import json
import sys
from types import SimpleNamespace

import pytest
from benchmarks.figures import Figure
from benchmarks.page import markdown
from benchmarks.run import begin, measure
from benchmarks.setting import Setting, SideFailedError, bytes_of_step, per_token

from benchmarks import record
from tests.benchmarks.builders import OTHER, run


def test_what_is_written_is_read_again():
    part = [
        Figure(
            name="decode",
            unit="tok/s",
            ours=(2.0, 3.0),
            peer=(1.0, 1.0),
            ratio_floor=2.0,
            settings={"peer_threads": 2, "peer_tok/s_by_threads": {"1": 1.5}},
        )
    ]
    runs = [run("1", {"prefill": 2.0}), run("2", {"prefill": 3.0}, OTHER)]
    runs[0].parts["decode"] = part
    text = record.dumps(runs)
    assert record.loads(text) == runs
    assert json.loads(text)["runs"][0]["parts"]["decode"][0]["ratio"] == 2.5


def test_a_file_of_another_format_is_refused():
    with pytest.raises(ValueError, match="expected greenlight"):
        record.loads('{"format": "greenlight.benchmarks/1"}')


def test_runs_are_added_to_those_of_a_folder_and_its_page_shows_both(tmp_path):
    record.add(tmp_path, [run("1", {"decode": 1.0})])
    record.add(tmp_path, [run("2", {"prefill": 2.0}, OTHER)])
    assert [each.id for each in record.read(tmp_path / "results.json")] == ["1-a CPU", "2-another CPU"]
    assert "## another CPU" in (tmp_path / "RESULTS.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["RESULTS.md", "results.json"]


@pytest.fixture
def setting(tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF")
    return Setting(ref="a", path=path, work=tmp_path, threads=1, rounds=None)


def part(monkeypatch, name, result):
    """A part of that name which gives figures, or ends otherwise."""

    def measured(_setting):
        if isinstance(result, BaseException):
            raise result
        return [Figure(name=name, unit="s", ours=(result,))]

    monkeypatch.setitem(sys.modules, f"benchmarks.{name}", SimpleNamespace(TITLE=name, measure=measured))


def test_a_run_that_is_killed_after_its_second_part_keeps_two(tmp_path, monkeypatch, setting):
    for name, result in (("a", 1.0), ("b", 2.0), ("c", KeyboardInterrupt()), ("d", 4.0)):
        part(monkeypatch, name, result)
    with pytest.raises(KeyboardInterrupt):
        measure(setting, begin(setting), ["a", "b", "c", "d"], lambda so_far: record.add(tmp_path / "out", [so_far]))
    (kept,) = record.read(tmp_path / "out" / "results.json")
    assert list(kept.parts) == ["a", "b"]
    assert kept.others_share_of_cores.keys() == {"a", "b"}
    assert kept.model == {"ref": "a", "file": "a.gguf", "size_bytes": 4}
    assert kept.id.startswith(kept.date)


def test_half_a_part_takes_no_place_from_a_whole_one(tmp_path, monkeypatch, setting):
    part(monkeypatch, "slow", 1.0)
    measure(setting, begin(setting), ["slow"], lambda so_far: record.add(tmp_path, [so_far]))

    def interrupted(_setting):
        yield Figure(name="another", unit="s", ours=(2.0,))
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "benchmarks.slow", SimpleNamespace(TITLE="slow", measure=interrupted))
    with pytest.raises(KeyboardInterrupt):
        measure(setting, begin(setting), ["slow"], lambda so_far: record.add(tmp_path, [so_far]))
    (kept,) = record.read(tmp_path / "results.json")
    assert [figure.ours for figure in kept.parts["slow"]] == [(1.0,)]


def test_a_part_whose_side_fails_says_so_and_the_others_go_on(monkeypatch, setting):
    part(monkeypatch, "a", SideFailedError("exit 1 of peer\nits last words"))
    part(monkeypatch, "b", 2.0)
    run = measure(setting, begin(setting), ["a", "b"], lambda _: None)
    assert run.parts["a"][0].why_not == "exit 1 of peer"
    assert run.parts["b"][0].ours == (2.0,)


def test_the_page_in_the_tree_is_what_is_made_of_the_figures_in_the_tree():
    runs = record.read(record.HERE / "results.json")
    assert (record.HERE / "RESULTS.md").read_text() == markdown(runs, record.prose()), "python -m benchmarks.record"
    assert (record.HERE / "results.json").read_text() == record.dumps(runs)


def test_bytes_and_operations_in_the_prose_are_those_of_the_default_model(default_model):
    prose = (record.HERE / "explained.md").read_text()
    linears, q4_1 = per_token(default_model).products, per_token(default_model).read_bytes
    for block_bytes in (18, 20, 34):
        read = q4_1 + linears // 32 * (block_bytes - 20)
        row = f"| {block_bytes} bytes | {read:,} bytes | {2 * linears:,} |"
        assert row in prose
    kv = bytes_of_step(default_model, 32) - q4_1
    assert f"{kv // 32:,} bytes each" in prose
