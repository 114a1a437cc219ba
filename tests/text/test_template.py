# ruff: noqa: E501 - templates read best in the lines that they have
import datetime
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import TextError
from greenlight.formats.gguf import read_gguf
from greenlight.text import ChatTemplate, Message
from greenlight.text.budget import MAX_TEXT, Budget
from greenlight.text.sandbox import BoundedEnvironment

CHAT = [Message("system", "Be brief."), Message("user", "Hi")]


def render(source, messages=CHAT, **variables):
    return ChatTemplate(source).render(messages, **variables)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "{% for m in messages %}\n  {% if m.role == 'user' %}\n{{ m.content }}!\n  {% endif %}\n{% endfor %}\n",
            "Hi!\n",
        ),
        ("{{ messages | tojson }}", '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]'),
        ("{{ {'a': '<ä>'} | tojson }}", '{"a": "<ä>"}'),
        ("{{ [1, [2]] | tojson(indent=1) }}", "[\n 1,\n [\n  2\n ]\n]"),
        (
            "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
            "02",
        ),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
        ("{% macro f(x, y='z') %}{{ x ~ y }}{% endmacro %}{{ f('a') }}{{ f('a', y=1) }}", "aza1"),
        ("{{ '%s in 2024: %5.1f' % ('a', 2) }}{{ '{:>3}{{}}'.format('x') }}", "a in 2024:   2.0  x{}"),
        ("{{ messages[0].content.split(' ')[-1] | upper }}{{ 'abc'[::-1] }}{{ messages[1:] | length }}", "BRIEF.cba1"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join('|') }}", "Hi"),
        (
            "{{ 1 < 2 < 3 }}{{ 3 in [1, 2] }}{{ 'B' in messages[0].content }}{{ x is defined }}{{ none is none }}",
            "TrueFalseTrueFalseTrue",
        ),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}{% set a, b = 1, 2 %}{{ a + b }}", "a13"),
        ("{% generation %}{{ messages[1].content }}{% endgeneration %}", "Hi"),
        ("{{ bos_token }}{{ eos_token is defined }}{{ tools is none }}{{ add_generation_prompt }}", "<s>FalseTrueTrue"),
        ("{{ {'items': 3}['items'] }}{{ {'x': {'y': 1}}.x.y }}{{ {}.missing | default('d') }}", "31d"),
        ("{{ ', '.join(messages | map(attribute='role')) }}{{ 'a\tb'.expandtabs(4) }}", "system, usera   b"),
        (
            "{{ '  a ' | trim }}{{ 'a-b' | replace('-', '+') }}{{ 'x' * 3 }}{{ 7 // 2 }}{{ 2 ** 3 }}{{ 'a\nb' | indent(2) }}",
            "aa+bxxx38a\n  b",
        ),
    ],
)
def test_templates_mean_what_they_mean_in_transformers(source, expected):
    assert render(source, bos_token="<s>") == expected


def test_the_date_is_the_callers_or_not_there():
    guarded = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}no date{% endif %}"
    assert render(guarded) == "no date"
    assert render(guarded, today=datetime.date(2026, 7, 1)) == "01 Jul 2026"
    with pytest.raises(TextError, match="today"):
        render("{{ strftime_now('%Y') }}")


def test_a_template_that_asks_for_the_day_is_known():
    assert ChatTemplate("{{ strftime_now('%Y') }}").states_date
    assert not ChatTemplate("{{ messages }}").states_date


def test_messages_may_carry_more_than_text():
    message = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}
    source = "{{ messages[0].tool_calls[0].function.name }}{{ messages[0].tool_calls[0].function.arguments | tojson }}"
    assert render(source, [message]) == 'f{"a": 1}'


def test_only_plain_data_reaches_a_template():
    with pytest.raises(TextError, match="other than text"):
        render("{{ x }}", x=object())


HOSTILE = {
    "a huge repetition": "{{ 'a' * 10**9 }}",
    "a huge list": "{{ [1] * 10**8 }}",
    "a huge number": "{{ (10**1000) ** 1000 }}",
    "squares of squares": "{% set n = namespace(x=3) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "a huge range": "{% for i in range(10**9) %}{% endfor %}",
    "nested loops": "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "doubling by +": "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "doubling by ~": "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "doubling of lists": "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "deepening of lists": "{% set n = namespace(x=[1]) %}{% for i in range(99999) %}{% set n.x = [n.x] %}{% endfor %}",
    "doubling of dicts": "{% set n = namespace(x={}) %}{% for i in range(99) %}{% set n.x = dict(a=n.x, b=n.x) %}{% endfor %}",
    "a macro that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(50) }}",
    "a loop that calls itself": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "wide %": "{{ '%999999999d' % 1 }}",
    "computed width %": "{{ '%*d' % (999999999, 1) }}",
    "wide % behind a key": "{{ '%((9))999999999d' % {'(9)': 1} }}",
    "wide format": "{{ '{:999999999}'.format(1) }}",
    "nested format": "{{ '{:{}}'.format(1, 999999999) }}",
    "wide center": "{{ 'x' | center(999999999) }}",
    "wide ljust": "{{ 'x'.ljust(999999999) }}",
    "wide indent": "{{ ('a\n' * 99999) | indent(999) }}",
    "large replace": "{{ ('a' * 99999) | replace('a', 'b' * 99999) }}",
    "large str.replace": "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
    "large join": "{{ (['a'] * 99999) | join('b' * 99999) }}",
    "large str.join": "{{ ('b' * 99999).join(['a'] * 9999) }}",
    "slow search": "{{ ('a' * 2000000).rfind('b' + 'a' * 1000000) }}",
    "slow strip": "{{ ('a' * 1000000).strip('b' * 1000000) }}",
    "many comparisons": "{% set x = 'a' * 999999 %}{% for i in range(99999) %}{% if x == x ~ 'b' %}{% endif %}{% endfor %}",
    "many slices": "{% set x = 'a' * 999999 %}{% for i in range(99999) %}{% set y = x[1:] %}{% endfor %}",
    "large output": "{% for i in range(99999) %}" + "x" * 9999 + "{% endfor %}",
    "large block": "{% set y %}{% for i in range(99999) %}" + "x" * 9999 + "{% endfor %}{% endset %}",
    "deep JSON": "{{ [[[1]]] | tojson(indent=99999) }}",
    "wide JSON": "{{ [1, 2] | tojson(separators=('a' * 99999, 'b')) }}",
    "precise rounding": "{{ 1.5 | round(999999999, 'ceil') }}",
    "summed lists": "{{ [[1]] | sum(start=[]) }}",
    "wide format in other digits": "{{ '{:\u0665\u0660\u0660\u0660\u0660\u0660\u0660\u0660}'.format('x') }}",
    "many wide formats": "{{ ('{0:999}' * 40000).format(1) }}",
    "many wide %": "{{ ('%(a)999d' * 40000) % {'a': 1} }}",
    "one entry for many %": "{{ ('%(a)s' * 40000) % {'a': 'x' * 40000} }}",
    "one list for many fields": "{{ ('{0}' * 40000).format(range(2000) | list) }}",
    "wide tabs": "{{ ('\t' * 100000).expandtabs(1000) }}",
    "a list between items": "{{ range(2000) | join(range(5000) | list) }}",
    "a number read from text": "{% set x = ('f' * 800000) | int(0, 16) %}{{ x // (x // 3 + 1) }}",
    "a number of many digits, divided": "{% set x = 0x" + "f" * 400000 + " %}{{ (x // 3) % 7 }}",
    "a number of many digits, added": "{{ range(99999) | sum(start=0x" + "f" * 400000 + ") }}",
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "class by attr": "{{ ('' | attr('__class__')).__mro__ }}",
    "class by item": "{{ ''['__class__']['__mro__'] }}",
    "class by map": "{{ (['a'] | map(attribute='__class__') | first).__mro__ }}",
    "class by format": "{{ '{0.__class__.__mro__}'.format('a').__x__ }}",
    "globals of a function": "{{ range.__func__.__globals__ }}",
    "globals of a macro": "{% macro f() %}{% endmacro %}{{ f._func.__globals__ }}",
    "self": "{{ self._TemplateReference__context.environment }}",
    "the environment": "{{ loop.environment.x }}",
    "a function's address": "{{ raise_exception }}",
    "appending": "{{ messages.append(1) }}",
    "updating": "{{ messages[0].update(a=1) }}",
    "encoding": "{{ 'a'.encode() }}",
    "an underscored namespace": "{{ namespace(_a=1) }}",
    "include": "{% include 'x' %}",
    "import": "{% import 'x' as y %}",
    "extends": "{% extends 'x' %}",
    "an unknown filter": "{{ 1 | pprint }}",
    "deep source": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "long source": "a" * 10**6,
    "no end": "{% for x in y %}",
    "undefined": "{{ a.b.c }}",
    "division by zero": "{{ 1 / 0 }}",
    "wrong types": "{{ 1 + 'a' }}",
    "not callable": "{{ messages() }}",
}
PAID_BEFORE_MADE = [
    name
    for name in HOSTILE
    if name.startswith(("wide", "many wide", "one ", "a huge", "a number read", "a list", "large"))
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_end_in_an_error_soon(name):
    start = time.monotonic()
    with pytest.raises(TextError):
        render(HOSTILE[name])
    assert time.monotonic() - start < 10  # seconds; about one at most when nothing else runs


@pytest.mark.parametrize("name", PAID_BEFORE_MADE)
def test_what_a_hostile_template_would_make_is_refused_before_it_is_there(name):
    tracemalloc.start()
    try:
        with pytest.raises(TextError):
            render(HOSTILE[name])
        assert tracemalloc.get_traced_memory()[1] < 24 * 2**20  # bytes; the longest text allowed has 4 Mi characters
    finally:
        tracemalloc.stop()


VALUES = st.recursive(
    st.sampled_from(
        ["messages", "'a'", "x", "9", "-1", "10**9", "none", "loop", "range", "n.x", "tools", "{'a': 1}", "f"]
    ),
    lambda inner: st.one_of(
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["+", "*", "~", "%", "**", "//", "in", "==", "<"]), inner
        ),
        st.builds("{}|{}".format, inner, st.sampled_from([*sorted(BoundedEnvironment(Budget(1)).filters), "zzz"])),
        st.builds(
            "{}.{}".format, inner, st.sampled_from(["x", "items()", "split('a')", "__class__", "format({})", "copy()"])
        ),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}({})".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
    ),
    max_leaves=6,
)
BLOCKS = (
    "{{% for x in {} %}}{}{{% endfor %}}",
    "{{% if {} %}}{}{{% endif %}}",
    "{{% set n.x = {} %}}{}",
    "{{% set x = {} %}}{}",
    "{{% macro f(x) %}}{{{{ {} }}}}{}{{% endmacro %}}{{{{ f(f) }}}}",
    "{{{{ {} }}}}{}",
)
SOURCES = st.recursive(
    st.builds("{{{{ {} }}}}".format, VALUES),
    lambda inner: st.builds(
        lambda block, value, body: block.format(value, body), st.sampled_from(BLOCKS), VALUES, inner
    ),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None)
@given(SOURCES)
def test_any_template_gives_text_or_our_error(source):
    try:
        text = render("{% set n = namespace(x=1) %}" + source, tools=[{"name": "f"}])
    except TextError:
        return
    assert len(text) <= MAX_TEXT


def test_a_refusal_of_the_template_is_told_in_its_words():
    with pytest.raises(TextError, match="refuses") as caught:
        render("{{ raise_exception('system role not supported') }}")
    assert caught.value.found == "system role not supported"


def test_a_syntax_error_names_its_line():
    with pytest.raises(TextError) as caught:
        ChatTemplate("a\n{% if %}")
    assert "line 2" in (caught.value.where or "")


def test_long_conversations_are_within_bounds():
    source = (
        "{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('no') }}{% endif %}"
        "{% if loop.index0 == messages | length - 1 %}!{% endif %}{{ '<|' + m.role + '|>' + m.content | trim }}{% endfor %}"
    )
    messages = [Message("user" if i % 2 else "assistant", "word " * 200) for i in range(600)]
    assert len(render(source, messages)) > 590_000


def test_the_default_models_template_writes_its_system_prompt(default_model):
    source = read_gguf(default_model).metadata["tokenizer.chat_template"]
    assert render(source, [Message("user", "Hi")]) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
