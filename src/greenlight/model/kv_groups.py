"""Which layers keep their keys and values on the same pages, and how long is a page of theirs needed?

Layers that see all positions need every page to the end; layers with a window need the newest alone. So they do not
share pages: layers of one window form groups whose pages take about the same memory, any page can serve any group, and
what has left a window is free for whoever needs it (as vLLM's hybrid cache manager does it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from greenlight.ops.protocol import PAGE_SIZE, KVSpec

MOST_GROUPS = 8
"""More would save little memory, and every sequence carries a table of pages for each."""


@dataclass(frozen=True, slots=True)
class KVGroup:
    """Layers whose keys and values lie on the same pages."""

    window: int | None
    """Newest positions that they see; None: all."""

    n_values: int
    """Keys and values that they keep per position."""

    def first_block(self, n_computed: int) -> int:
        """The first block of PAGE_SIZE positions still needed once n_computed positions are.

        The last full block always is: whoever goes on from there holds it, seen or not.
        """
        if self.window is None:
            return 0
        return max(0, min(n_computed - self.window + 1, n_computed - PAGE_SIZE) // PAGE_SIZE)

    def most_blocks(self, n_positions: int, step: int) -> int:
        """Blocks held at once on the way to n_positions, of which one pass computes at most `step`."""
        all_blocks = -(-n_positions // PAGE_SIZE)
        if self.window is None:
            return all_blocks
        # Positions in reach of a pass are at most so many, and begin anywhere in a block.
        reach = step + max(self.window - 1, PAGE_SIZE)
        return min(all_blocks, (reach - 2) // PAGE_SIZE + 2)


ONE_GROUP = (KVGroup(None, 1),)
"""All layers see all positions."""


def group_layers(layers: Sequence[KVSpec]) -> tuple[KVSpec, ...]:
    """The same layers, each with the number of its group; layers without a window come first.

    Args:
        layers: what each layer keeps, in the model's order.

    Returns:
        Of all ways to fill groups in the order of layers, the one that wastes least; of equals, the fewest groups.
    """
    windows = sorted({layer.window for layer in layers}, key=lambda window: (window is not None, window or 0))
    classes = [[i for i, layer in enumerate(layers) if layer.window == window] for window in windows]
    sizes = [n_values(layer) for layer in layers]
    best = _fill(classes, sizes, max(sum(sizes[i] for i in members) for members in classes))
    for size in _page_sizes(classes, sizes):
        groups = _fill(classes, sizes, size)
        if len(groups) <= max(MOST_GROUPS, len(classes)) and _cost(groups, sizes) < _cost(best, sizes):
            best = groups
    group_of = {layer: number for number, members in enumerate(best) for layer in members}
    return tuple(replace(layer, group=group_of[i]) for i, layer in enumerate(layers))


def kv_groups(layers: Iterable[KVSpec]) -> tuple[KVGroup, ...]:
    """The groups of layers that carry their numbers."""
    members: dict[int, list[KVSpec]] = {}
    for layer in layers:
        members.setdefault(layer.group, []).append(layer)
    return tuple(KVGroup(members[g][0].window, sum(map(n_values, members[g]))) for g in sorted(members))


def n_values(layer: KVSpec) -> int:
    """Values that a layer keeps per position."""
    return 2 * layer.n_kv_heads * layer.head_dim


def page_values(groups: Sequence[KVGroup]) -> int:
    """Values on one page: any page can serve any group."""
    return PAGE_SIZE * max(group.n_values for group in groups)


def _page_sizes(classes: list[list[int]], sizes: list[int]) -> list[int]:
    """Values per position that an even cut of some class would give, largest first."""
    found: set[int] = set()
    for members in classes:
        for n_groups in range(1, MOST_GROUPS + 1):
            found.update(sum(sizes[i] for i in group) for group in _cut(members, n_groups))
    return sorted(found, reverse=True)


def _fill(classes: list[list[int]], sizes: list[int], size: int) -> list[list[int]]:
    """Groups of about `size` values per position, evenly filled by number of layers."""
    groups: list[list[int]] = []
    for members in classes:
        groups += _cut(members, -(-sum(sizes[i] for i in members) // size))
    return groups


def _cut(members: list[int], n_groups: int) -> list[list[int]]:
    per_group = -(-len(members) // n_groups)
    return [members[at : at + per_group] for at in range(0, len(members), per_group)]


def _cost(groups: list[list[int]], sizes: list[int]) -> int:
    """Values that one position takes in all groups, unused room included."""
    return len(groups) * max(sum(sizes[i] for i in members) for members in groups)
