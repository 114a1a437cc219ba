"""What does every part start from? The model's file, those made from it, a folder for them, the number of rounds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peer_figures
from benchmarks.text import ROOT
from greenlight.formats.gguf import read_gguf
from greenlight.formats.tensors import TensorType
from greenlight.model.load import describe

PEERS = Path(__file__).parent / "peers"
CPUINFO = Path("/proc/cpuinfo")


class SideFailedError(RuntimeError):
    """A side of a comparison, ours or a peer's, ended without a result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One run of the benchmarks."""

    ref: str
    """The model, as on the command line."""

    path: Path
    """Its GGUF file."""

    work: Path
    """A folder for derived files."""

    threads: int
    """Cores that both sides may use."""

    rounds: int | None
    """Rounds of every part; None leaves it to the part."""

    def count(self, own: int) -> int:
        """Rounds of a part that asks for `own`."""
        return self.rounds or own

    @property
    def known(self) -> bool:
        """Whether the peers' figures on a quiet machine are of this file."""
        return self.path.name == peer_figures.MODEL_FILE

    @property
    def kind(self) -> str:
        """The type that holds most of the file's bytes, such as Q4_1."""
        return main_type(self.path).name

    @property
    def kinds(self) -> list[str]:
        """That type, then others that llama.cpp's quantizer makes of the file."""
        return list(dict.fromkeys([self.kind, "Q4_0", "Q8_0"]))

    @property
    def torch_dtype(self) -> str:
        """In what torch is fastest here: a CPU without instructions for bfloat16 widens it at every step."""
        flags = CPUINFO.read_text() if CPUINFO.exists() else ""
        return "bfloat16" if re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", flags) else "float32"

    def quantised(self, kind: str) -> Path:
        """The model's file with its linears in another type, made by llama.cpp's quantizer."""
        if kind == self.kind:
            return self.path
        target = self.work / f"{self.path.stem}.from-{self.kind}.{kind}.gguf"
        if not target.exists():
            self.run_peer("llama_cpp_quantize.py", str(self.path), str(target), kind.lower())
        return target

    def hf_folder(self, dtype: str) -> Path:
        """The model's weights, dequantised to 'float32' or 'bfloat16', as a Hugging Face folder."""
        target = self.work / f"{self.path.stem}.{dtype}"
        if not (target / "config.json").exists():
            self.run_peer("hf_folder.py", str(self.path), str(target), dtype)
        return target

    def run_peer(self, script: str, *arguments: str) -> str:
        """Run one of the peers' scripts to its end and return what it printed."""
        return run_quietly([sys.executable, str(PEERS / script), *arguments], self.offline())

    def offline(self) -> dict[str, str]:
        """An environment in which Hugging Face's packages stay on this machine, and their caches in the work folder."""
        cache = {"HF_HOME": str(self.work / "huggingface"), "TOKENIZERS_PARALLELISM": "true"}
        return {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", **cache}


def run_quietly(command: list[str], environment: dict[str, str]) -> str:
    """Run a command and return its stdout.

    Raises:
        SideFailedError: it failed; the message ends with what it said last.
    """
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise SideFailedError(f"exit {done.returncode} of {' '.join(command)}\n{tail}")
    return done.stdout


def greenlight_command() -> list[str]:
    """The command as installed beside this Python; the module where it is not installed."""
    script = Path(sys.executable).with_name("greenlight")
    return [str(script)] if script.exists() else [sys.executable, "-m", "greenlight"]


def main_type(path: Path) -> TensorType:
    """The type that holds most of a GGUF file's bytes."""
    sizes: Counter[TensorType] = Counter()
    for tensor in read_gguf(path).tensors.values():
        sizes[tensor.type] += tensor.n_bytes
    return sizes.most_common(1)[0][0]


@dataclass(frozen=True, slots=True)
class PerToken:
    """What one token costs, whatever comes before it."""

    read_bytes: int
    """Of weights, as one token is decoded: all, save experts not chosen and an embedding that is not the head."""

    products: int
    """Of weights, in a prompt: those of the linears without the head, which only the last position needs."""


def per_token(path: Path) -> PerToken:
    """Counted from a GGUF file's tensors."""
    file = read_gguf(path)
    used = {key.rsplit(".", 1)[-1]: value for key, value in file.metadata.items() if "expert" in key}
    looked_up = "token_embd.weight" if "output.weight" in file.tensors else None
    read = products = 0
    for name, tensor in file.tensors.items():
        chosen = used["expert_used_count"] / used["expert_count"] if "_exps." in name else 1
        read += round(tensor.n_bytes * chosen) if name != looked_up else 0
        if len(tensor.shape) > 1 and name.endswith(".weight") and name not in ("token_embd.weight", "output.weight"):
            products += round(tensor.n_values * chosen)
    return PerToken(read, products)


def bytes_of_step(path: Path, past: int, streams: int = 1) -> int:
    """What a forward pass reads that adds a token to each stream: weights, and keys and values of those before it."""
    return per_token(path).read_bytes + describe(path).memory(past, streams).kv_bytes


def data_folder() -> Path | None:
    """The public data sets: GREENLIGHT_DATA, or where continuous integration keeps them; None without either."""
    if named := os.environ.get("GREENLIGHT_DATA"):
        return Path(named)
    beside = ROOT.parent / "shared" / "data"
    return beside if beside.is_dir() else None
