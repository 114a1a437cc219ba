"""How is a file of unknown origin read without harm? Bounded in bytes, lines and members, and told by its place."""

from __future__ import annotations

import hashlib
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from greenlight.assess.imports.foreign import must_be
from greenlight.errors import FormatError, UnsupportedError
from greenlight.evidence import JSON

MAX_FILE_BYTES = 4 * 2**30
"""A larger file is split by its tool, or is none of its files."""

MAX_WHOLE_BYTES = 256 * 2**20
"""A file, or member of an archive, that must be read as one JSON value may be this long."""

MAX_LINE_BYTES = 64 * 2**20
"""One answer may be this long."""

MAX_SAMPLES = 500_000
"""A run of more answers is judged in parts."""

MAX_KEPT_CHARACTERS = 512 * 2**20
"""Text of questions and answers that is held at once."""

_MAX_DIRECTORY_BYTES = 64 * 2**20

_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"


class Budget:
    """What one import may hold in memory."""

    def __init__(self, where: str) -> None:
        self._where, self._samples, self._characters = where, 0, 0

    def take(self, *texts: str) -> None:
        """Account for one answer with its texts.

        Raises:
            FormatError: more than one import may hold.
        """
        self._samples += 1
        self._characters += sum(map(len, texts))
        must_be(self._samples <= MAX_SAMPLES, "the run has too many answers", self._where, f"{self._samples:,}", _PART)
        must_be(
            self._characters <= MAX_KEPT_CHARACTERS,
            "the run has too much text",
            self._where,
            f"{self._characters:,} characters",
            _PART,
        )


_PART = "import it task by task: --task NAME"


def parse(data: bytes, where: str) -> JSON:
    """One JSON value; NaN and infinities are none.

    Raises:
        FormatError: it cannot be read.
    """
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        found = str(error)[:160] or type(error).__name__
        raise FormatError("this is not JSON", where=where, found=found, do=_WHOLE) from error


_WHOLE = "the file is damaged or cut off: copy it again, or export the run again"


def _refuse(name: str) -> JSON:
    raise ValueError(f"{name} is not JSON")


def read_whole(path: Path) -> bytes:
    """A file that must be read as one.

    Raises:
        FormatError: there is none, it is no plain file, or it is too long.
    """
    must_be(
        _size(path) <= MAX_WHOLE_BYTES, "the file is too long to be read as one", str(path), f"{_size(path):,} bytes"
    )
    return path.read_bytes()


def read_lines(path: Path, digest: Any) -> Iterator[tuple[str, JSON]]:
    """Place and value of each line of a JSON Lines file; its bytes go to the digest on the way.

    Raises:
        FormatError: naming the line that cannot be read.
    """
    _size(path)
    with path.open("rb") as file:
        for number in range(1, MAX_SAMPLES + 2):
            line = file.readline(MAX_LINE_BYTES + 1)
            where = f"{path}, line {number}"
            digest.update(line)
            if not line:
                return
            must_be(len(line) <= MAX_LINE_BYTES, "a line is too long", where, f"more than {MAX_LINE_BYTES:,} bytes")
            if line.strip():
                yield where, parse(line, where)
    must_be(False, "the file has too many lines", str(path), f"more than {MAX_SAMPLES:,}", _PART)


def _size(path: Path) -> int:
    try:
        found = path.stat()
    except OSError as error:
        raise FormatError(
            "there is no such file", where=str(path), found=error.strerror, do="name the file that the tool wrote"
        ) from error
    must_be(stat.S_ISREG(found.st_mode), "this is no plain file", str(path), do="name the file that the tool wrote")
    must_be(found.st_size <= MAX_FILE_BYTES, "the file is too large", str(path), f"{found.st_size:,} bytes", _PART)
    return found.st_size


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file within bounds.

    Raises:
        FormatError: there is none, or it is too large.
    """
    _size(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Member(NamedTuple):
    """One file in an archive."""

    name: str
    where: str


class Archive:
    """A zip file of which nothing is believed: sizes are bounded while it is unpacked, checksums are checked after.

    Members may be stored, deflated or compressed with Zstandard, as Inspect writes them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _size(path)
        try:
            with path.open("rb") as file:
                _check_directory(file, path)
            with zipfile.ZipFile(path) as archive:
                infos = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError, EOFError) as error:
            raise FormatError(
                "this is no whole zip file", where=str(path), found=str(error)[:160], do=_WHOLE
            ) from error
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            must_be(info.filename not in self._infos, "a member occurs twice", str(path), info.filename, _WHOLE)
            self._infos[info.filename] = info

    def members(self) -> list[Member]:
        """What is in it, in its order."""
        return [Member(name, f"{self.path}, {name}") for name in self._infos]

    def json(self, name: str) -> JSON:
        """One member as JSON.

        Raises:
            FormatError: it is missing, damaged, encrypted, or longer than one may be.
            UnsupportedError: it is compressed in a way that cannot be read here.
        """
        where = f"{self.path}, {name}"
        info = self._infos.get(name)
        if info is None:
            raise FormatError("a member is missing", where=where, do=_WHOLE)
        must_be(not info.flag_bits & 1, "a member is encrypted", where)
        data = self._unpack(info, where)
        must_be(
            len(data) == info.file_size and zlib.crc32(data) == info.CRC,
            "a member's checksum differs",
            where,
            do=_WHOLE,
        )
        return parse(data, where)

    def _unpack(self, info: zipfile.ZipInfo, where: str) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(info.header_offset)
                header = file.read(30)
                must_be(header[:4] == b"PK\x03\x04", "a member has no header", where, do=_WHOLE)
                name_length, extra_length = struct.unpack("<HH", header[26:30])
                file.seek(name_length + extra_length, 1)
                must_be(info.compress_size <= MAX_WHOLE_BYTES, "a member is too long", where, f"{info.compress_size:,}")
                packed = file.read(info.compress_size)
        except (OSError, struct.error, OverflowError) as error:
            raise FormatError("a member cannot be read", where=where, found=str(error)[:160], do=_WHOLE) from error
        must_be(len(packed) == info.compress_size, "the archive is cut off", where, do=_WHOLE)
        match info.compress_type:
            case 0:
                return packed
            case 8:
                return _inflate(packed, where)
            case 93:
                return _unzstd(packed, where)
        raise UnsupportedError(
            "a member is compressed in a way that is not known here",
            where=where,
            found=f"method {info.compress_type}",
            do="convert the log: inspect log convert --to json",
        )


def _inflate(packed: bytes, where: str) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = unpacker.decompress(packed, MAX_WHOLE_BYTES)
    except zlib.error as error:
        raise FormatError("a member is damaged", where=where, found=str(error), do=_WHOLE) from error
    must_be(not unpacker.unconsumed_tail, "a member unpacks to more than one may", where, _more())
    must_be(unpacker.eof, "a member is cut off", where, do=_WHOLE)
    return data


def _unzstd(packed: bytes, where: str) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise UnsupportedError(
            "this log is compressed with Zstandard, which needs a package",
            where=where,
            do="pip install 'greenlight-llm[inspect]', or convert the log: inspect log convert --to json",
        ) from error
    try:
        with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(
            packed, read_across_frames=False
        ) as reader:
            data: bytes = reader.read(MAX_WHOLE_BYTES + 1)
    except (zstandard.ZstdError, ValueError, MemoryError) as error:
        raise FormatError("a member is damaged", where=where, found=str(error)[:160], do=_WHOLE) from error
    must_be(len(data) <= MAX_WHOLE_BYTES, "a member unpacks to more than one may", where, _more())
    return data


def _more() -> str:
    return f"more than {MAX_WHOLE_BYTES:,} bytes"


def _check_directory(file: IO[bytes], path: Path) -> None:
    """Look at the size of the list of members before it is read: a few bytes can promise millions of them."""
    end = file.seek(0, 2)
    start = max(0, end - 2**16 - 22)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END)
    must_be(at >= 0 and len(tail) - at >= 22, "this is no whole zip file", str(path), do=_WHOLE)
    (size,) = struct.unpack("<L", tail[at + 12 : at + 16])
    if size == 0xFFFFFFFF and tail[max(0, at - 20) : at][:4] == _LOCATOR:
        (offset,) = struct.unpack("<Q", tail[at - 12 : at - 4])
        must_be(offset + 56 <= end, "this is no whole zip file", str(path), do=_WHOLE)
        file.seek(offset)
        record = file.read(56)
        must_be(record[:4] == _END64, "this is no whole zip file", str(path), do=_WHOLE)
        (size,) = struct.unpack("<Q", record[40:48])
    must_be(size <= _MAX_DIRECTORY_BYTES, "the archive lists too many members", str(path), f"{size:,} bytes of names")
