"""llama-server, with slots and a prompt cache; built once from the sources that llama.cpp's binding carries."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.setting import Setting, SideFailedError, run_quietly

REQUIREMENT = "llama-cpp-python==0.3.36"
OPTIONS = ("LLAMA_BUILD_SERVER=ON", "LLAMA_BUILD_TESTS=OFF", "LLAMA_BUILD_EXAMPLES=OFF", "LLAMA_BUILD_UI=OFF")
OPTIONS += ("LLAMA_USE_PREBUILT_UI=OFF", "LLAMA_OPENSSL=OFF", "BUILD_SHARED_LIBS=OFF", "CMAKE_BUILD_TYPE=Release")
OPTIONS += ("GGML_NATIVE=ON",)
NO_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
"""What gcc 12 makes of the tile code dies of an illegal instruction on CPUs that have it."""


def program(setting: Setting) -> Path:
    """The server, built for this CPU: about a quarter of an hour on two cores, kept in the work folder.

    Raises:
        SideFailedError: the sources cannot be had, or do not build.
    """
    built = setting.work / "llama-server" / "bin" / "llama-server"
    if not built.exists():
        sources = _sources(setting.work)
        options = [f"-D{option}" for option in _options()]
        build = str(setting.work / "llama-server")
        run_quietly(["cmake", "-S", str(sources), "-B", build, *options], dict(os.environ))
        command = ["cmake", "--build", build, "--target", "llama-server", "--parallel", str(setting.threads)]
        run_quietly(command, dict(os.environ))
    return built


def how_run(setting: Setting, slots: int) -> dict[str, Any]:
    """For the record: its build, as it says itself and as it was configured, and what it was started with."""
    done = subprocess.run([str(program(setting)), "--version"], capture_output=True, text=True, check=True)
    said = "; ".join((done.stdout + done.stderr).split("\n")).strip("; ")
    return {"build": f"{said}; {' '.join(_options())}", "peer_threads": setting.threads, "peer_slots": slots}


def _options() -> list[str]:
    flags = [f"CMAKE_{language}_FLAGS={NO_AMX}" for language in ("C", "CXX")]
    return [*OPTIONS, *(flags if platform.machine() == "x86_64" else [])]


def _sources(work: Path) -> Path:
    folder = work / "llama-sources"
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", REQUIREMENT]
        run_quietly([*pip, "--dest", str(work)], dict(os.environ))
        archive = next(work.glob("llama_cpp_python-*.tar.gz"))
        unfinished = work / "llama-sources.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        with tarfile.open(archive) as file:
            file.extractall(unfinished, filter="data")
        unfinished.rename(folder)
    return next(folder.glob("*/vendor/llama.cpp"))


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    """Where it listens, on this machine alone."""

    slots: int
    """Requests that it works on at once."""

    def answers(self, prompts: Sequence[Sequence[int]], n: int) -> float:
        """Seconds until every prompt has n tokens more, all asked at once; the most likely token each time."""
        with ThreadPoolExecutor(len(prompts)) as clients:
            start = time.perf_counter()
            counts = list(clients.map(lambda prompt: self._complete(prompt, n), prompts))
            seconds = time.perf_counter() - start
        if counts != [n] * len(prompts):
            raise SideFailedError(f"llama-server wrote {counts} tokens, not {n} each")
        return seconds

    def _complete(self, prompt: Sequence[int], n: int) -> int:
        asked = {"prompt": list(prompt), "n_predict": n, "temperature": 0, "ignore_eos": True, "cache_prompt": True}
        said = _ask(self.port, "POST", "/completion", asked)
        return int(said["tokens_predicted"])


@contextlib.contextmanager
def serving(setting: Setting, model: Path, *, slots: int, positions: int) -> Iterator[Server]:
    """A server of one model, ready to answer, and gone afterwards.

    Args:
        setting: the run.
        model: the GGUF file.
        slots: requests at once.
        positions: context of each.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(program(setting)), "-m", str(model), "--port", str(port), "-np", str(slots)]
    command += ["-c", str(slots * positions), "-t", str(setting.threads), "--no-webui"]
    with (setting.work / "llama-server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(process, port)
        yield Server(port, slots)
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, limit_s: float = 120) -> None:
    give_up = time.perf_counter() + limit_s
    while time.perf_counter() < give_up and process.poll() is None:
        with contextlib.suppress(OSError, SideFailedError, ValueError):
            if _ask(port, "GET", "/health", None).get("status") == "ok":
                return
        time.sleep(0.1)
    raise SideFailedError("llama-server did not start; its log is in the work folder")


def _ask(port: int, method: str, path: str, body: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SideFailedError(f"llama-server answered {answer.status}: {said[:300].decode(errors='replace')}")
        return json.loads(said)
    finally:
        connection.close()
