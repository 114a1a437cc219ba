"""What does a LoRA adapter say? PEFT's folder, whoever trained it: settings read strictly, low-rank pairs by module.

A module's weight W becomes W + s·B·A with A (r, inputs) and B (outputs, r) (Hu et al. 2021, arXiv:2106.09685), where s
is lora_alpha / r, or lora_alpha / sqrt(r) with rank-stabilised scaling (Kalajdzievski 2023, arXiv:2312.03732). Names
and settings are huggingface/peft's: src/peft/tuners/lora/config.py, utils/save_and_load.py, utils/other.py.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.jsonfile import read_json
from greenlight.formats.quants import dequantize
from greenlight.formats.safetensors import read_safetensors
from greenlight.formats.tensors import Tensor
from greenlight.model.wrappers import other_part

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

_SAYS_NOTHING = frozenset(
    (
        *("base_model_name_or_path", "revision", "task_type", "inference_mode", "auto_mapping", "peft_version"),
        *(
            "lora_dropout",
            "layers_to_transform",
            "layers_pattern",
            "exclude_modules",
            "eva_config",
            "ensure_weight_tying",
        ),
        *("loftq_config", "runtime_config", "megatron_core", "low_cpu_mem_usage", "qalora_group_size"),
    )
)
"""Settings of training or of loading, and those that the tensors themselves tell."""

_READ = frozenset(
    (
        *("peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules", "bias"),
        *("fan_in_fan_out", "modules_to_save", "init_lora_weights"),
    )
)

_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal", "true", "false")
"""Ways to begin that leave the base as it is; PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change it."""

_PAIR = re.compile(r"(?P<module>.+)\.lora_(?P<which>[AB])(?:\.(?P<adapter>[^.]+))?\.weight")
_PATTERN = re.compile(r"\^?(?:[\w-]|\\?\.)+")
_MAX_RANK = 1 << 16
_WHOLE_HEAD = "base_model.model.lm_head.base_layer.weight"
"""peft saves the head whole beside its pair, as the embedding may have grown: the pair is added to this one."""
_MOST = 1e9
"""No setting is larger, of an adapter that was trained to do any good; float32 holds what comes of it."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """What is added to one module's weight."""

    a: Floats
    """(r, inputs)."""

    b: Floats
    """(outputs, r), the scale in it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Of the weight that it fits."""
        return self.b.shape[0], self.a.shape[1]

    def dense(self) -> Floats:
        """The sum that it adds, (outputs, inputs)."""
        product: Floats = self.b @ self.a
        return product


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Adapter:
    """An adapter, read, and not yet held against any model."""

    path: Path
    """Its folder or file."""

    base: str | None
    """What it says it was trained on: a name that somebody typed, so for information alone."""

    deltas: Mapping[str, LowRank]
    """By module, in Hugging Face's names: model.layers.0.self_attn.q_proj."""

    replaced: Mapping[str, Tensor]
    """Whole tensors that training kept beside (modules_to_save), by name."""

    targets: tuple[str, ...] | None
    """Names, or ends of names, of modules that all have a delta; None where the settings say it otherwise."""

    left_out: tuple[str, ...] = ()
    """What it changes of a whole's other parts, which text does without: "vision part of the adapter, 4 tensors"."""


def read_adapter(path: Path) -> Adapter:
    """Read a folder with adapter_config.json and adapter_model.safetensors.

    Raises:
        FormatError: something is missing, damaged, or contradicts itself.
        UnsupportedError: a kind of adapter, or a setting, that is not computed here; named.
    """
    where = str(path / CONFIG_FILE)
    config = read_json(path / CONFIG_FILE)
    _refuse_unread(config, where)
    if not (path / WEIGHTS_FILE).is_file():
        raise _no_weights(path)
    tensors, left_out = _of_text(read_safetensors(path / WEIGHTS_FILE), str(path / WEIGHTS_FILE))
    deltas, replaced = _parts(tensors, config, path)
    base = config.get("base_model_name_or_path")
    return Adapter(
        path=path,
        base=base if isinstance(base, str) and base else None,
        deltas=deltas,
        replaced=replaced,
        targets=_targets(config, where),
        left_out=left_out,
    )


def _of_text(tensors: Mapping[str, Tensor], where: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Without what belongs to the parts of a whole that the text model is read without."""
    parts = {name: other_part(_in_model(name)) for name in tensors}
    others = Counter(part for part in parts.values() if part)
    if tensors and others.total() == len(tensors):
        raise FormatError(
            "the adapter changes nothing of the text model",
            where=where,
            found=", ".join(f"{part}: {n} tensors" for part, n in others.items()),
            do="use the model without it: greenlight reads the text part alone",
        )
    mine = {name: tensor for name, tensor in tensors.items() if not parts[name]}
    return mine, tuple(f"{part} of the adapter, {n} tensors" for part, n in others.items())


def _no_weights(path: Path) -> FormatError:
    pickled = [file.name for file in path.glob("adapter_model.*") if file.suffix in (".bin", ".pt", ".pth")]
    return FormatError(
        "the adapter has no weights in safetensors",
        where=str(path),
        found=", ".join(pickled) or "no adapter_model file",
        do="pickles are never read: where the adapter can be trusted, load it with peft and "
        "save_pretrained(FOLDER, safe_serialization=True)"
        if pickled
        else f"add {WEIGHTS_FILE}",
    )


def _refuse_unread(config: Mapping[str, Any], where: str) -> None:
    """Refuse settings that would change what is computed."""
    kind = config.get("peft_type")
    if kind != "LORA":
        raise UnsupportedError(
            f"adapters of type {kind} are not supported", where=f"{where}, peft_type", found=str(kind), do="use LORA"
        )
    for name, value in config.items():
        if name not in _SAYS_NOTHING | _READ and value not in (None, False, [], {}):
            raise UnsupportedError(
                f"the adapter sets {name}, which is not computed here",
                where=f"{where}, {name}",
                found=str(value)[:80],
                do="merge it with peft (merge_and_unload) and give the folder of the merged model",
            )
    for name, allowed in (("bias", ("none", None)), ("fan_in_fan_out", (False, None))):
        if config.get(name) not in allowed:
            raise UnsupportedError(
                f"adapters with {name} are not supported", where=f"{where}, {name}", found=str(config[name])[:80]
            )
    start = config.get("init_lora_weights")
    if isinstance(start, (dict, list)) or start not in _PLAIN_STARTS:
        raise UnsupportedError(
            "the adapter begins in a way that changes the base's weights",
            where=f"{where}, init_lora_weights",
            found=str(start)[:80],
            do="convert it to plain LoRA with peft (path_initial_model_for_weight_conversion)",
        )


def _targets(config: Mapping[str, Any], where: str) -> tuple[str, ...] | None:
    """Names of target_modules, where it is a list and no other setting takes any away."""
    targets = config.get("target_modules")
    if targets is not None and not isinstance(targets, str) and not _is_names(targets):
        raise FormatError("target_modules is no list of names", where=f"{where}, target_modules")
    if isinstance(targets, str) or targets is None:
        return None  # a pattern, or a word such as all-linear: what has a delta, the tensors say
    narrowed = ("layers_to_transform", "exclude_modules", "layers_pattern")
    return None if any(config.get(name) not in (None, [], "") for name in narrowed) else tuple(targets)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _parts(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], path: Path
) -> tuple[dict[str, LowRank], dict[str, Tensor]]:
    where, pairs, replaced = str(path / WEIGHTS_FILE), dict[str, dict[str, Tensor]](), dict[str, Tensor]()
    adapters, unknown = set[str | None](), list[str]()
    saved = config.get("modules_to_save") or []
    if not _is_names(saved):
        raise FormatError("modules_to_save is no list of names", where=f"{path / CONFIG_FILE}, modules_to_save")
    for name, tensor in tensors.items():
        if match := _PAIR.fullmatch(name):
            pair = pairs.setdefault(_in_model(match["module"]), {})
            _once(name, match["which"] in pair, where)
            pair[match["which"]] = tensor
            adapters.add(match["adapter"])
        elif name == _WHOLE_HEAD:
            replaced["lm_head.weight"] = tensor
        elif (inner := _saved_name(name)).rpartition(".")[0].endswith(tuple(saved)):
            # The end of a name, as peft looks for it: norm is input_layernorm, too.
            _once(name, inner in replaced, where)
            replaced[inner] = tensor
        else:
            unknown.append(name)
    if unknown:
        raise UnsupportedError(
            "the adapter holds tensors that are neither low-rank pairs nor in modules_to_save",
            where=where,
            found=_some(unknown),
            do="embeddings, DoRA and biases of adapters are not computed here",
        )
    if len(adapters) > 1:
        raise FormatError("the file holds several adapters", where=where, found=_some([str(a) for a in adapters]))
    if not pairs and not replaced:
        raise FormatError("the adapter changes nothing", where=where, found="no tensors")
    scales = _Scales(config, str(path / CONFIG_FILE))
    return {module: _low_rank(module, pair, scales, where) for module, pair in pairs.items()}, replaced


def _once(name: str, there: bool, where: str) -> None:
    if there:
        raise FormatError(
            "the adapter changes one module twice", where=where, found=f"{name[:120]}, beside another name of it"
        )


def _in_model(name: str) -> str:
    """A module's name in the model that was wrapped, without what wrappers of text models add."""
    name = name.removeprefix("base_model.model.")
    if name.startswith("language_model."):
        return name.removeprefix("language_model.")
    return re.sub(r"^model\.language_model\.(?:model\.)?", "model.", name)


def _saved_name(name: str) -> str:
    return _in_model(re.sub(r"\.modules_to_save\.(?:[^.]+\.)?(?=[^.]+$)", ".", name))


def _low_rank(module: str, pair: Mapping[str, Tensor], scales: _Scales, where: str) -> LowRank:
    if pair.keys() != {"A", "B"}:
        raise FormatError("half of a low-rank pair is missing", where=f"{where}, {module}", found=f"only {min(pair)}")
    a, b, rank = pair["A"], pair["B"], scales.rank(module)
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != rank or b.shape[1] != rank:
        raise FormatError(
            "a low-rank pair has another rank than the settings say",
            where=f"{where}, {module}",
            found=f"A {a.shape}, B {b.shape}, expected ({rank}, inputs) and (outputs, {rank})",
        )
    low_rank = LowRank(dequantize(a), dequantize(b) * np.float32(scales.scale(module)))
    if not (np.isfinite(low_rank.a).all() and np.isfinite(low_rank.b).all()):
        raise FormatError("a low-rank pair holds values that are no numbers", where=f"{where}, {module}")
    return low_rank


class _Scales:
    """Rank and scale of each module: the settings' own, or those of the first pattern that ends its name."""

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self._where = where
        self._rank = self._number("r", config.get("r", 8), whole=True)
        self._alpha = self._number("lora_alpha", config.get("lora_alpha", 8))
        self._ranks = self._patterns("rank_pattern", config.get("rank_pattern") or {}, whole=True)
        self._alphas = self._patterns("alpha_pattern", config.get("alpha_pattern") or {})
        stable = config.get("use_rslora", False)
        if stable not in (True, False, None):
            raise FormatError(
                "use_rslora is neither true nor false", where=f"{where}, use_rslora", found=str(stable)[:80]
            )
        self._stable = bool(stable)

    def rank(self, module: str) -> int:
        """R of a module."""
        return int(_first(self._ranks, module, self._rank))

    def scale(self, module: str) -> float:
        """Factor on B·A."""
        rank = self.rank(module)
        return float(_first(self._alphas, module, self._alpha) / (math.sqrt(rank) if self._stable else rank))

    def _number(self, name: str, value: Any, *, whole: bool = False) -> float:
        good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST
        if not good or (whole and (value != int(value) or not 1 <= value <= _MAX_RANK)):
            raise FormatError(
                "a setting has an impossible value", where=f"{self._where}, {name}", found=str(value)[:80]
            )
        return float(value)

    def _patterns(self, name: str, patterns: Any, *, whole: bool = False) -> list[tuple[re.Pattern[str], float]]:
        if not isinstance(patterns, dict):
            raise FormatError("a setting is no table", where=f"{self._where}, {name}", found=str(patterns)[:80])
        for key in patterns:
            # A pattern may be any regular expression, and some of those take longer than anyone would wait.
            if not _PATTERN.fullmatch(key):
                raise UnsupportedError(
                    "a pattern is more than the end of a module's name",
                    where=f"{self._where}, {name}",
                    found=key[:80],
                    do="write names of modules, such as model.layers.0.self_attn.q_proj",
                )
        return [
            (re.compile(rf"(?:.*\.)?(?:{key})"), self._number(f"{name}, {key}", value, whole=whole))
            for key, value in patterns.items()
        ]


def _first(patterns: list[tuple[re.Pattern[str], float]], module: str, usual: float) -> float:
    return next((value for pattern, value in patterns if pattern.fullmatch(module)), usual)


def _some(names: list[str]) -> str:
    shown = ", ".join(name[:120] for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
