from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from greenlight.errors import FormatError
from greenlight.formats import storing
from greenlight.formats.storing import file_in_the_making, folder_in_the_making


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "m.gguf"
    with file_in_the_making(path, 3) as file:
        file.write(b"ab")
        assert not path.exists()
        file.write(b"c")
    assert path.read_bytes() == b"abc"
    assert [file.name for file in tmp_path.iterdir()] == ["m.gguf"]


@pytest.mark.parametrize("making", [file_in_the_making, folder_in_the_making])
def test_trouble_on_the_way_leaves_nothing(tmp_path, making):
    with pytest.raises(RuntimeError), making(tmp_path / "m", 1):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("making", [file_in_the_making, folder_in_the_making])
def test_nothing_is_written_over(tmp_path, making):
    (tmp_path / "m").write_text("mine")
    with pytest.raises(FormatError, match="written over"), making(tmp_path / "m", 1):
        pass
    assert (tmp_path / "m").read_text() == "mine"


def test_what_appeared_meanwhile_is_not_written_over(tmp_path):
    making = file_in_the_making(tmp_path / "m", 1)
    making.__enter__().write(b"ours")
    (tmp_path / "m").write_text("theirs")
    with pytest.raises(FormatError, match="written over"):
        making.__exit__(None, None, None)
    assert (tmp_path / "m").read_text() == "theirs"


def test_a_disk_too_small_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(FormatError, match="too small") as caught, file_in_the_making(tmp_path / "m", 1 << 60):
        pass
    assert "needed" in caught.value.found
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FormatError, match="no such folder"), file_in_the_making(tmp_path / "no" / "m", 1):
        pass


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    with file_in_the_making(tmp_path / "m", 1) as file:
        with pytest.raises(FormatError, match="another process"), file_in_the_making(tmp_path / "m", 1):
            pass
        file.write(b"first")
    assert (tmp_path / "m").read_bytes() == b"first"


def test_a_full_disk_is_said(tmp_path):
    with pytest.raises(FormatError, match="disk is full"), file_in_the_making(tmp_path / "m", 1):
        raise OSError(storing.errno.ENOSPC, os.strerror(storing.errno.ENOSPC))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("making", ["file_in_the_making", "folder_in_the_making"])
def test_killed_on_the_way_nothing_has_the_name_and_the_next_attempt_succeeds(tmp_path, making):
    code = (
        "import os, signal, pathlib\n"
        f"from greenlight.formats.storing import {making}\n"
        f"with {making}(pathlib.Path({str(tmp_path / 'm')!r}), 1) as it:\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert not (tmp_path / "m").exists()
    with getattr(storing, making)(tmp_path / "m", 1):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("making", [file_in_the_making, folder_in_the_making])
def test_what_a_killed_attempt_left_is_told_and_counted_as_room(tmp_path, making, monkeypatch):
    partial = storing.partial_of(tmp_path / "m")
    if making is folder_in_the_making:
        partial.mkdir()
        partial /= "weights"
    partial.write_bytes(bytes(1000))
    full = shutil.disk_usage(tmp_path)._replace(free=storing.MARGIN)
    monkeypatch.setattr(storing.shutil, "disk_usage", lambda _: full)
    told = []
    with making(tmp_path / "m", 1000, told.append):
        pass
    assert told == [1000]
    with pytest.raises(FormatError, match="too small"), making(tmp_path / "other", 1000, told.append):
        pass
