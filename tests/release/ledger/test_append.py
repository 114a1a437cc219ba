from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from greenlight.errors import EvidenceError
from greenlight.release.ledger import append, appending, read_ledger
from tests.release.ledger.build import build, lock_body

NOTE = {"text": "one", "outside": None}

WRITER = """
import sys
import time
from pathlib import Path
from greenlight.release.ledger import appending
for number in range(100_000):
    with appending(Path(sys.argv[1]), "tiny") as ledger:
        entry = ledger.enter("note", {"text": f"{sys.argv[2]} {number}", "outside": None})
    print(entry.index, flush=True)
    time.sleep(0.005)
"""


def writer(path, name):
    command = [sys.executable, "-c", WRITER, str(path), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)


def test_a_ledger_of_another_model_is_refused_and_left_as_it_was(tmp_path):
    path = build(tmp_path / "ledger.jsonl").path
    before = path.read_bytes()
    with pytest.raises(EvidenceError, match="of another model") as raised, appending(path, "other"):
        pass
    assert raised.value.where.endswith("line 1")
    assert "--release-of tiny" in raised.value.do
    assert path.read_bytes() == before


def test_a_damaged_ledger_takes_no_entry(tmp_path):
    path = build(tmp_path / "ledger.jsonl").path
    path.write_bytes(path.read_bytes().replace(b'"hold"', b'"go"'))
    with pytest.raises(EvidenceError, match="changed after it was entered"), appending(path, "tiny"):
        pass


def test_nothing_is_begun_without_a_model(tmp_path):
    path = tmp_path / "ledger.jsonl"
    with pytest.raises(EvidenceError, match="no such ledger"), appending(path):
        pass
    assert not path.exists()


def test_a_clock_that_is_behind_is_told(tmp_path):
    path = build(tmp_path / "ledger.jsonl").path
    with appending(path) as ledger, pytest.raises(EvidenceError, match="clock is behind"):
        ledger.enter("note", NOTE, at="2001-01-01T00:00:00Z")


def test_an_entry_that_cannot_be_is_not_written(tmp_path):
    path = build(tmp_path / "ledger.jsonl").path
    before = path.read_bytes()
    with appending(path) as ledger, pytest.raises(EvidenceError, match="cannot be entered"):
        ledger.enter("lock", lock_body(attempt=0))
    assert path.read_bytes() == before


def test_a_full_disk_leaves_what_was_entered(tmp_path, monkeypatch):
    path = build(tmp_path / "ledger.jsonl").path
    before = path.read_bytes()
    real = os.write

    def write(descriptor, data):
        if len(data) > 40:
            return real(descriptor, data[:40])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(append.os, "write", write)
    with appending(path) as ledger, pytest.raises(EvidenceError, match="cannot be written"):
        ledger.enter("note", {"text": "x" * (40 * 3), "outside": None})
    assert path.read_bytes() == before


def test_two_wait_for_each_other_and_say_so_after_a_while(tmp_path, monkeypatch):
    path = build(tmp_path / "ledger.jsonl").path
    monkeypatch.setattr(append, "WAIT_S", 0.05)
    with appending(path), pytest.raises(EvidenceError, match="another process"), appending(path):
        pass


def test_a_killed_writer_leaves_every_entry_that_it_reported(tmp_path):
    path = tmp_path / "ledger.jsonl"
    reported = 0
    for turn in range(4):
        process = writer(path, str(turn))
        for _ in range(3 + turn):
            reported = int(process.stdout.readline())
        time.sleep(0.003 * turn)
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
        reported = max([reported, *map(int, rest)])
        assert len(read_ledger(path).entries) >= reported
    with appending(path) as ledger:
        ledger.enter("note", NOTE)


def test_two_writers_at_once_lose_nothing(tmp_path):
    path = tmp_path / "ledger.jsonl"
    both = [writer(path, name) for name in "ab"]
    seen = [[int(process.stdout.readline()) for _ in range(8)] for process in both]
    for process in both:
        process.kill()
        process.communicate()
    assert not set(seen[0]) & set(seen[1])
    assert len(read_ledger(path).entries) >= max(map(max, seen))


@pytest.mark.parametrize("data", [b"one precious line", b"line one\nlast line precious", b'{"a": 1}'])
def test_a_file_that_is_no_ledger_loses_nothing(tmp_path, data):
    path = tmp_path / "notes.txt"
    path.write_bytes(data)
    with pytest.raises(EvidenceError), appending(path, "m"):
        pass
    assert path.read_bytes() == data
