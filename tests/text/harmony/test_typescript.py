import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.text.harmony.typescript import namespace, type_of


def test_functions_read_as_in_the_formats_own_example():
    schema = {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "format": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        },
        "required": ["location"],
    }
    tools = [
        {"function": {"name": "get_location", "description": "Gets the location of the user."}},
        {"name": "get_current_weather", "description": "Gets the current weather.", "parameters": schema},
    ]
    assert namespace(tools) == (
        "## functions\n\nnamespace functions {\n\n// Gets the location of the user.\ntype get_location = () => any;\n\n"
        "// Gets the current weather.\ntype get_current_weather = (_: {\n"
        "// The city and state, e.g. San Francisco, CA\n"
        'location: string,\nformat?: "celsius" | "fahrenheit", // default: celsius\n}) => any;\n\n'
        "} // namespace functions"
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "array", "items": {"type": "string"}}, "string[]"),
        ({"type": "array", "items": {"type": ["string", "integer"]}}, "(string | number)[]"),
        ({"type": "array"}, "any[]"),
        ({"type": "integer", "nullable": True}, "number | null"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "number"),
        ({"type": "object"}, "object"),
        (
            {"type": "object", "properties": {"a": {"type": "boolean", "default": True}}},
            "{\na?: boolean, // default: true\n}",
        ),
        ({"enum": [1, "a"]}, '1 | "a"'),
        ({"type": "void"}, "any"),
        ({"type": []}, "any"),
        (7, "any"),
    ],
)
def test_schemas_read_as_types(schema, expected):
    assert type_of(schema) == expected


def test_a_schema_within_itself_comes_to_an_end():
    schema = {"type": "array"}
    schema["items"] = schema
    assert type_of(schema).startswith("any[]")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "enum", "anyOf", "required", "description", "default"]),
            inner | st.sampled_from(["array", "object", "string"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_any_schema_gives_a_text(schema):
    tool = {"name": "f", "parameters": schema}
    assert "type f = " in namespace([tool, {"function": tool}])
    assert json.dumps(type_of(schema))
