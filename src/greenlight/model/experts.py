"""How do files keep experts? One tensor each, all of a layer stacked, or in parts: here they become stacks, (E, …).

A stack is made when it is packed, one layer's projection at a time, so opening a model copies nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from greenlight.errors import FormatError
from greenlight.formats.tensors import Tensor
from greenlight.model.config import ModelConfig
from greenlight.model.family import Gathered

_NUMBER = "(?:0|[1-9][0-9]{0,5})"
"""Of a layer or an expert in a tensor's name: spelled in one way, so that no two names mean one expert."""


def names_of_experts(block: str, projections: str) -> str:
    """The pattern of names of experts that have a tensor each.

    Args:
        block: what the folder calls the feed-forward.
        projections: what it calls an expert's three linears, as a pattern.
    """
    place = rf"model\.layers\.(?P<layer>{_NUMBER})\.{block}\.experts\.(?P<expert>{_NUMBER})"
    return rf"{place}\.(?P<projection>{projections})\.weight"


def gather_experts(
    pattern: str, projections: Mapping[str, str], router: str, tensors: Mapping[str, Tensor], config: ModelConfig
) -> Gathered:
    """Stack experts that have a tensor each.

    Args:
        pattern: of their names: groups `layer`, `expert` and `projection`.
        projections: gate_proj, up_proj and down_proj by the file's name.
        router: the end of the router's names in the file.
        tensors: of the folder.
        config: the model's facts.
    """
    kept: dict[str, Tensor] = {}
    found: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(pattern, name)
        if match:
            target = f"model.layers.{match['layer']}.mlp.experts.{projections[match['projection']]}.weight"
            found.setdefault(target, {})[int(match["expert"])] = tensor
        else:
            ours = f"{name.removesuffix(router)}mlp.router.weight" if name.endswith(f".{router}") else name
            kept[ours] = tensor
    return _stacked(kept, {name: _in_order(name, experts, config.n_experts) for name, experts in found.items()})


_BY_NUMBER = rf"(?P<layer>blk\.{_NUMBER})\.(?P<projection>ffn_(?:gate|up|down))\.(?P<expert>{_NUMBER})\.weight"
"""Names of experts in GGUF files of before April 2024, when they came to be stacked (ggml-org/llama.cpp, PR 6387)."""


def stack_numbered(tensors: Mapping[str, Tensor]) -> Gathered:
    """A GGUF file's tensors, its experts stacked under the names of today where it keeps each by itself.

    Raises:
        FormatError: an expert is missing, or unlike the first.
    """
    kept: dict[str, Tensor] = {}
    found: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(_BY_NUMBER, name)
        target = f"{match['layer']}.{match['projection']}_exps.weight" if match else ""
        if match and target not in tensors:
            found.setdefault(target, {})[int(match["expert"])] = tensor
        else:
            kept[name] = tensor
    return _stacked(kept, {name: _in_order(name, experts, max(experts) + 1) for name, experts in found.items()})


def _stacked(kept: dict[str, Tensor], experts: Mapping[str, Sequence[Tensor]]) -> Gathered:
    """The tensors that stay, and the stacks, yet to be made."""
    made: dict[str, Callable[[], Tensor]] = {}
    for name, parts in experts.items():
        kept[name] = Tensor(parts[0].name, parts[0].type, (len(parts), *parts[0].shape), parts[0].data)
        made[name] = partial(stack, name, parts)
    return Gathered(kept, made)


def stack(name: str, parts: Sequence[Tensor]) -> Tensor:
    """Tensors of one type and shape one behind the other, (E, …)."""
    data = np.concatenate([part.data for part in parts])
    return Tensor(name, parts[0].type, (len(parts), *parts[0].shape), data)


def _in_order(name: str, experts: Mapping[int, Tensor], n_experts: int) -> list[Tensor]:
    """The experts 0 to E - 1, all alike.

    Raises:
        FormatError: one is missing, too many or unlike the first.
    """
    if len(experts) != n_experts or max(experts) != n_experts - 1:
        raise FormatError(
            "weights do not match the config",
            where=name,
            found=f"{len(experts)} experts, expected {n_experts}",
            do="the two come from different models, or a file is missing; fetch both again from one source",
        )
    parts = [experts[expert] for expert in range(n_experts)]
    for part in parts:
        if part.type is not parts[0].type or part.shape != parts[0].shape:
            raise FormatError(
                "experts of one layer differ in type or shape",
                where=part.name,
                found=f"{part.type.name} {part.shape}, {parts[0].name} has {parts[0].type.name} {parts[0].shape}",
                do="make the file again from the model's own folder, or fetch another",
            )
    return parts


def part_names(
    pattern: str, projections: Mapping[str, str], router: str, name: str, config: ModelConfig
) -> tuple[str, ...]:
    """What a folder calls a tensor: each expert's by itself.

    Args:
        pattern: of experts' names, with places for `layer`, `expert` and `projection`.
        projections: the folder's word for gate_proj, up_proj and down_proj.
        router: the end of the router's names there.
        name: the tensor's name here.
        config: the model's facts.
    """
    if name.endswith(".mlp.router.weight"):
        return (name.removesuffix("mlp.router.weight") + router,)
    match = re.fullmatch(r"model\.layers\.(\d+)\.mlp\.experts\.(\w+)\.weight", name)
    if match is None:
        return (name,)
    layer, projection = match[1], projections[match[2]]
    return tuple(pattern.format(layer=layer, expert=e, projection=projection) for e in range(config.n_experts))
