import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlight.errors import EvidenceError
from greenlight.evidence import (
    Journal,
    alone,
    canonical,
    check_manifest,
    read_json,
    read_lines,
    write_atomic,
    write_json,
    write_manifest,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_canonical_json_reads_back_and_has_one_spelling(value):
    data = canonical(value)
    assert json.loads(data) == value
    assert canonical(json.loads(data)) == data


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, "\ud800"])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(EvidenceError, match="canonical"):
        canonical(value)


def test_a_journal_gives_its_entries_back_after_reopening(tmp_path):
    path = tmp_path / "samples" / "x.jsonl"
    with Journal(path, "samples", {"lock": "a"}) as journal:
        journal.append({"item": "1"})
    with Journal(path, "samples", {"lock": "a"}) as journal:
        assert journal.entries == [{"item": "1"}]
        journal.append({"item": "2"})
    header, entries = read_lines(path, "samples")
    assert header == {"format": "greenlight.samples/1", "lock": "a"}
    assert [entry["item"] for entry in entries] == ["1", "2"]


@given(st.integers(min_value=0))
def test_a_journal_cut_anywhere_keeps_every_whole_line(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("journal") / "x.jsonl"
    with Journal(path, "samples", {"lock": "a"}) as journal:
        for number in range(5):
            journal.append({"item": number, "text": "é" * number})
    data = path.read_bytes()
    cut %= len(data) + 1
    path.write_bytes(data[:cut])
    with Journal(path, "samples", {"lock": "a"}) as journal:
        whole = data[:cut].count(b"\n")
        assert [entry["item"] for entry in journal.entries] == list(range(max(0, whole - 1)))
        journal.append({"item": "last"})
    assert read_lines(path, "samples")[1][-1] == {"item": "last"}


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "x.jsonl"
    with Journal(path, "samples", {"lock": "a"}) as journal:
        journal.append({"item": 1})
        journal.append({"item": 2})
    lines = path.read_bytes().split(b"\n")
    lines[1] = b'{"item": '
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(EvidenceError) as caught:
        Journal(path, "samples", {"lock": "a"})
    assert "line 2" in str(caught.value.where)


def test_a_journal_of_another_run_is_not_continued(tmp_path):
    path = tmp_path / "x.jsonl"
    Journal(path, "samples", {"lock": "a"}).close()
    with pytest.raises(EvidenceError, match="another run"):
        Journal(path, "samples", {"lock": "b"})


def test_a_full_disk_leaves_the_journal_whole(tmp_path, monkeypatch):
    path = tmp_path / "x.jsonl"
    journal = Journal(path, "samples", {"lock": "a"})
    journal.append({"item": 1})
    real = journal._file

    class Full:
        closed = False

        def tell(self):
            return real.tell()

        def write(self, data):
            real.write(data[: len(data) // 2])
            real.flush()
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "_file", Full())
    with pytest.raises(EvidenceError, match="cannot be written") as caught:
        journal.append({"item": 2})
    assert "resumes" in str(caught.value.do)
    real.close()
    assert [entry["item"] for entry in read_lines(path, "samples")[1]] == [1]


def test_a_file_that_may_not_grow_leaves_a_journal_that_can_be_continued(tmp_path):
    """The real thing: the kernel cuts a write short, then refuses the rest."""
    path = tmp_path / "x.jsonl"
    code = (
        "import resource, signal, sys\n"
        "from greenlight.errors import EvidenceError\n"
        "from greenlight.evidence import Journal\n"
        "from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "journal = Journal(Path(sys.argv[1]), 'samples', {'lock': 'a'})\n"
        "try:\n"
        "    for number in range(50): journal.append({'item': number, 'text': 'x' * 40})\n"
        "except EvidenceError: journal.close(); print(number)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    with Journal(path, "samples", {"lock": "a"}) as journal:
        assert [entry["item"] for entry in journal.entries] == list(range(int(result.stdout)))
        journal.append({"item": "last"})
    assert read_lines(path, "samples")[1][-1] == {"item": "last"}


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with alone(folder), pytest.raises(EvidenceError, match="another process"), alone(folder):
        pass
    with alone(folder):
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("path", ["/dev/zero", "."])
def test_what_is_no_plain_file_is_not_read(path):
    with pytest.raises(EvidenceError, match="no evidence file"):
        read_json(Path(path), "lock")


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EvidenceError, match="cannot be written"):
        write_atomic(path, b"new")
    assert json.loads(path.read_bytes()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_another_format_or_version_is_refused(tmp_path):
    write_json(tmp_path / "x.json", {"format": "greenlight.run/2"})
    with pytest.raises(EvidenceError, match="another format"):
        read_json(tmp_path / "x.json", "run")


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "a.jsonl").write_bytes(b"one\n")
    (tmp_path / "lock.json").write_bytes(b"{}\n")
    write_manifest(tmp_path)
    return tmp_path


def test_a_manifest_agrees_with_its_folder(bundle):
    assert check_manifest(bundle) is None


@pytest.mark.parametrize("name", ["samples/a.jsonl", "lock.json", "manifest.json"])
def test_each_flipped_bit_names_its_file(bundle, name):
    data = (bundle / name).read_bytes()
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        (bundle / name).write_bytes(bytes(changed))
        try:
            difference = check_manifest(bundle)
        except EvidenceError as error:
            difference = error.where
        assert difference is not None
        assert name in difference


def test_missing_and_added_files_are_named(bundle):
    (bundle / "extra.txt").write_text("x")
    assert check_manifest(bundle) == "extra.txt: not listed in the manifest"
    (bundle / "extra.txt").unlink()
    (bundle / "lock.json").unlink()
    assert check_manifest(bundle) == "lock.json: listed in the manifest, not there"
