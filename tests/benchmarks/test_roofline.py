"""Limits are measured where they can be, and shares are of the same rounds."""

import shutil

import pytest
from benchmarks.roofline import INT8, NumpyReader, memory_read, part_of_int8, part_of_read, peaks
from benchmarks.setting import Setting, SideFailedError


@pytest.fixture
def setting(tmp_path):
    return Setting(ref="x", path=tmp_path / "x", work=tmp_path, threads=2, rounds=None)


def test_no_rates_are_measured_without_a_compiler_or_where_it_fails(setting, monkeypatch):
    monkeypatch.setattr("benchmarks.roofline.shutil.which", lambda _: None)
    assert peaks(setting, INT8) == {}
    monkeypatch.setattr("benchmarks.roofline.shutil.which", lambda _: "false")
    assert peaks(setting, INT8) == {}


def test_rates_are_those_for_which_the_program_prints_a_number(setting, monkeypatch):
    printed = {"int8": "824.5\n", "bf16": ""}
    monkeypatch.setattr("benchmarks.roofline.shutil.which", lambda _: "true")
    monkeypatch.setattr("benchmarks.roofline.run_quietly", lambda command, _environment: printed[command[-1]])
    sides = peaks(setting, "int8", "bf16")
    assert {rate: side() for rate, side in sides.items()} == {"int8": 824.5}


def test_a_program_of_other_instructions_measures_nothing(setting, monkeypatch):
    def killed(command, _environment):
        raise SideFailedError(f"exit -4 of {command}")

    monkeypatch.setattr("benchmarks.roofline.shutil.which", lambda _: "true")
    monkeypatch.setattr("benchmarks.roofline.run_quietly", killed)
    assert peaks(setting, INT8) == {}


def test_shares_are_of_the_limit_in_the_same_round():
    read = part_of_read("decode", [100.0, 100.0], 200_000_000, [40.0, 25.0], "numpy")
    assert read.ours == (50.0, 80.0)
    assert read.name == "decode, part of memory's read speed"
    (int8,) = part_of_int8("prefill", [1000.0], 200_000_000, {INT8: (800.0,)})
    assert int8.ours == (50.0,)


def test_there_is_no_share_of_a_limit_that_was_not_measured():
    assert part_of_int8("prefill", [1000.0], 1, {}) == []


def test_memory_is_read_at_some_speed():
    assert NumpyReader(1 << 20, 2).gb_s() > 0


@pytest.mark.parametrize("size_bytes", [1 << 20, (1 << 20) + 777])
def test_a_program_reads_all_that_it_is_asked_to(setting, size_bytes):
    """It compares the sum of what it read with what was written, and prints nothing where they differ."""
    memory = memory_read(setting, size_bytes)
    assert memory.by == ("reads.cpp" if shutil.which("g++") else "numpy")
    assert memory.gb_s() > 0


def test_numpy_reads_without_a_compiler(setting, monkeypatch):
    monkeypatch.setattr("benchmarks.roofline.shutil.which", lambda _: None)
    memory = memory_read(setting, 1 << 20)
    assert (memory.by, memory.gb_s() > 0) == ("numpy", True)
