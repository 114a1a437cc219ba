import struct
import sys
import tracemalloc
import zlib

import pytest
import zstandard

from greenlight.assess.imports import bounded
from greenlight.assess.imports.bounded import Archive, Budget, parse, read_lines, read_whole
from greenlight.errors import FormatError, UnsupportedError
from tests.assess.imports.builders import archive


class Nothing:
    def update(self, data):
        pass


def test_what_is_no_json_is_refused_by_place():
    for data in (b"{", b"NaN", b'{"a": Infinity}', b"\xff", b"[" * 100_000, b"1" * 5000):
        with pytest.raises(FormatError) as caught:
            parse(data, "log.json, line 7")
        assert caught.value.where == "log.json, line 7"
    assert parse(b'{"a": [1, null]}', "x") == {"a": [1, None]}


def test_lines_are_bounded_and_blank_ones_passed_over(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"b": 2}')
    assert [(where[-6:], value) for where, value in read_lines(path, Nothing())] == [
        ("line 1", {"a": 1}),
        ("line 3", {"b": 2}),
    ]
    monkeypatch.setattr(bounded, "MAX_LINE_BYTES", 5)
    with pytest.raises(FormatError, match="line is too long"):
        list(read_lines(path, Nothing()))
    monkeypatch.setattr(bounded, "MAX_LINE_BYTES", 500)
    monkeypatch.setattr(bounded, "MAX_SAMPLES", 1)
    with pytest.raises(FormatError, match="too many lines"):
        list(read_lines(path, Nothing()))


def test_files_are_bounded_before_they_are_read(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("[1]")
    monkeypatch.setattr(bounded, "MAX_WHOLE_BYTES", 2)
    with pytest.raises(FormatError, match="too long to be read"):
        read_whole(path)
    monkeypatch.setattr(bounded, "MAX_FILE_BYTES", 2)
    with pytest.raises(FormatError, match="too large"):
        read_whole(path)
    for other in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FormatError) as caught:
            read_whole(other)
        assert caught.value.do


def test_a_budget_holds_answers_and_text(monkeypatch):
    monkeypatch.setattr(bounded, "MAX_SAMPLES", 2)
    monkeypatch.setattr(bounded, "MAX_KEPT_CHARACTERS", 10)
    budget = Budget("run")
    budget.take("12345", "1234")
    with pytest.raises(FormatError, match="too much text"):
        budget.take("12")
    with pytest.raises(FormatError, match="too many answers"):
        budget.take()


@pytest.mark.parametrize("method", [8, 93])
def test_a_bomb_stops_at_the_limit(tmp_path, monkeypatch, method):
    monkeypatch.setattr(bounded, "MAX_WHOLE_BYTES", 100_000)
    path = tmp_path / "bomb.eval"
    path.write_bytes(archive({"header.json": b" " * 50_000_000}, method))
    assert path.stat().st_size < 60_000
    tracemalloc.start()
    with pytest.raises(FormatError, match="unpacks to more"):
        Archive(path).json("header.json")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_an_archive_that_promises_millions_of_members_is_refused_unread(tmp_path):
    path = tmp_path / "many.eval"
    data = bytearray(archive({"header.json": b"{}"}, 0))
    at = data.rfind(b"PK\x05\x06")
    data[at + 12 : at + 16] = struct.pack("<L", 2**31)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="too many members"):
        Archive(path)
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, at, 1)
    record = b"PK\x06\x06" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, 1, 1, 2**40, 0)
    data[at + 12 : at + 16] = b"\xff" * 4
    path.write_bytes(data[:at] + record + locator + data[at:])
    with pytest.raises(FormatError, match="too many members"):
        Archive(path)


def test_a_member_whose_checksum_differs_is_damaged(tmp_path):
    path = tmp_path / "a.eval"
    data = archive({"header.json": b'{"a": 1}'}, 0)
    path.write_bytes(data.replace(b'{"a": 1}', b'{"a": 2}'))
    with pytest.raises(FormatError, match="checksum"):
        Archive(path).json("header.json")


def test_a_name_that_stands_twice_a_missing_one_and_an_unknown_method_are_told(tmp_path):
    path = tmp_path / "a.eval"
    path.write_bytes(archive({"aa.json": b"{}", "ab.json": b"{}"}, 93).replace(b"ab.json", b"aa.json"))
    with pytest.raises(FormatError, match="twice"):
        Archive(path)
    path.write_bytes(archive({"a.json": b"{}"}, 12))
    with pytest.raises(UnsupportedError, match="not known here") as caught:
        Archive(path).json("a.json")
    assert "inspect log convert" in caught.value.do
    with pytest.raises(FormatError, match="missing"):
        Archive(path).json("b.json")


def test_without_zstandard_the_install_line_is_printed(tmp_path, monkeypatch):
    path = tmp_path / "a.eval"
    path.write_bytes(archive({"a.json": b"{}"}, 93))
    assert Archive(path).json("a.json") == {}
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(UnsupportedError) as caught:
        Archive(path).json("a.json")
    assert "pip install 'greenlight-llm[inspect]'" in caught.value.do


def test_the_builder_packs_what_the_packages_unpack():
    data = archive({"a.json": b"[1]" * 50}, 93)
    start = 30 + len("a.json")
    size = struct.unpack("<L", data[18:22])[0]
    unpacked = zstandard.ZstdDecompressor().decompress(data[start : start + size])
    assert (unpacked, zlib.crc32(unpacked)) == (b"[1]" * 50, struct.unpack("<L", data[14:18])[0])
