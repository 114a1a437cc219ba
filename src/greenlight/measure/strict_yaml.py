"""How is YAML from strangers read? As nested texts: no aliases, no key twice, no types guessed, nothing unbounded."""

from __future__ import annotations

from typing import TypeAlias

import yaml

MAX_BYTES = 1_000_000
"""A text longer than this is no file that a person filled in."""

Texts: TypeAlias = str | list["Texts"] | dict[str, "Texts"]
"""Every scalar is a text: `1.0` stays what its author typed, and `no` is no number."""


def read_texts(text: str) -> Texts:
    """The value of one YAML document.

    Raises:
        ValueError: in words that name the line; the text is too long, not YAML, or uses what this reader refuses.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES:,} bytes")
    try:
        # The loader makes nothing but texts, lists and mappings of texts.
        value: Texts = yaml.load(text, Loader=_Strict)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return "" if value is None else value


class _Strict(yaml.BaseLoader):  # type: ignore[misc]  # PyYAML has no types
    """PyYAML's loader of plain texts, without what can make a short file a long value or an ambiguous one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(problem="an alias (*name) stands here", problem_mark=event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Texts]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str) or name in seen:
                what = f"the key {name!r} stands here twice" if isinstance(name, str) else "a key is no text"
                raise yaml.MarkedYAMLError(problem=what, problem_mark=key.start_mark)
            seen.add(name)
        found: dict[str, Texts] = super().construct_mapping(node, deep=deep)
        return found
