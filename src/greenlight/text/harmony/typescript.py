"""How does a tool's JSON schema read in harmony? As a type in TypeScript's notation.

From openai/harmony: docs/format.md, "Function calling". Whatever a schema says that this notation has no word for
becomes `any`, as the format has it; nothing is executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NAMES = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
_MAX_DEPTH = 16


def namespace(tools: Sequence[Mapping[str, Any]], name: str = "functions") -> str:
    """The section of a developer message that describes functions.

    Args:
        tools: descriptions as chat APIs take them: the function itself, or an object with it under `function`.
        name: of the namespace.
    """
    lines = [f"## {name}", "", f"namespace {name} {{", ""]
    for tool in tools:
        function = tool.get("function")
        lines += [*_function(function if isinstance(function, Mapping) else tool), ""]
    return "\n".join([*lines, f"}} // namespace {name}"])


def _function(function: Mapping[str, Any]) -> list[str]:
    schema = function.get("parameters")
    head = _comment(function.get("description"))
    if not isinstance(schema, Mapping) or not _properties(schema):
        return [*head, f"type {function.get('name')} = () => any;"]
    return [*head, f"type {function.get('name')} = (_: {{", *_fields(schema, 0), "}) => any;"]


def _fields(schema: Mapping[str, Any], depth: int) -> Iterator[str]:
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    for name, value in _properties(schema).items():
        field = value if isinstance(value, Mapping) else {}
        yield from _comment(field.get("description"))
        optional = "" if name in needed else "?"
        default = f" // default: {_default(field)}" if "default" in field else ""
        yield f"{name}{optional}: {type_of(field, depth)},{default}"


def type_of(schema: Any, depth: int = 0) -> str:
    """One schema as a type."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return "any"
    nullable = " | null" if schema.get("nullable") is True else ""
    return _plain_type(schema, depth) + nullable


def _plain_type(schema: Mapping[str, Any], depth: int) -> str:
    options = next((schema[key] for key in ("oneOf", "anyOf") if isinstance(schema.get(key), list)), None)
    if options:
        return _union(type_of(option, depth + 1) for option in options)
    if isinstance(enum := schema.get("enum"), list) and enum:
        return _union(json.dumps(value, ensure_ascii=False) for value in enum)
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union(_plain_type({**schema, "type": entry}, depth + 1) for entry in kind)
    if kind == "array":
        inner = type_of(schema.get("items"), depth + 1)
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if kind == "object":
        return "\n".join(["{", *_fields(schema, depth + 1), "}"]) if _properties(schema) else "object"
    return _NAMES.get(str(kind), "any")


def _union(types: Iterator[str]) -> str:
    return " | ".join(dict.fromkeys(types)) or "any"


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _default(field: Mapping[str, Any]) -> str:
    value = field["default"]
    # Of a choice, the format writes the name bare.
    return value if isinstance(value, str) and "enum" in field else json.dumps(value, ensure_ascii=False)


def _comment(text: Any) -> list[str]:
    return [f"// {line}" for line in text.splitlines()] if isinstance(text, str) else []
