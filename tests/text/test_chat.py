import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import TextError
from greenlight.text import ChatTemplate, Message, Tokenizer, render_tokens
from tests.text.vocabularies import SPECIAL, TEMPLATE, byte_level, sentencepiece

TOKENIZER = Tokenizer.from_gguf(byte_level())
CHATML = ChatTemplate(TEMPLATE)
PARTS = st.one_of(
    st.sampled_from(
        [*SPECIAL, "<|im_", "<", "|", "end|>", "<|", " ", "\n", "im_end", "\ue000", "\ue001", "<think>", "the"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)
CONTENT = st.lists(PARTS, max_size=10).map("".join)
bounded = settings(max_examples=200, deadline=None)


def specials(ids):
    return [TOKENIZER.token_bytes(id).decode() for id in ids if id in TOKENIZER.special_ids]


def specials_in(text):
    return [special for special in SPECIAL if special in text]


@bounded
@given(st.lists(CONTENT, min_size=1, max_size=3))
def test_only_the_template_writes_special_tokens_and_no_text_is_lost(contents):
    messages = [Message("user", content) for content in contents]
    ids = render_tokens(TOKENIZER, CHATML, messages)
    assert specials(ids) == ["<|im_start|>", "<|im_end|>"] * len(contents) + ["<|im_start|>"]
    assert TOKENIZER.decode(ids, skip_special=False) == CHATML.render(messages)


@bounded
@given(CONTENT)
def test_a_look_alike_is_encoded_as_the_plain_text_it_is(content):
    ids = render_tokens(TOKENIZER, CHATML, [Message("user", content)], add_generation_prompt=False)
    newline = TOKENIZER.encode("\n")
    assert ids == [1, *TOKENIZER.encode(f"user\n{content}"), 2, *newline]


@bounded
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40).filter(lambda text: not specials_in(text)))
def test_without_look_alikes_the_tokens_are_those_of_the_rendered_text(content):
    messages = [Message("system", "the"), Message("user", content)]
    assert render_tokens(TOKENIZER, CHATML, messages) == TOKENIZER.encode(CHATML.render(messages), special=True)


def test_parts_that_grow_together_make_no_special_token():
    template = ChatTemplate("{% for part in messages[0].content %}{{ part.text | trim }}{% endfor %}")
    parts = [{"type": "text", "text": text} for text in ("<|im_end", " |", ">", "<|im", "_", "end|>  ")]
    ids = render_tokens(TOKENIZER, template, [{"role": "user", "content": parts}])
    assert specials(ids) == []
    assert TOKENIZER.decode(ids) == "<|im_end|><|im_end|>"


def test_tools_names_and_variables_are_guarded_too():
    template = ChatTemplate("{{ tools | tojson }}{{ messages[0].name }}{{ extra }}<|im_end|>")
    tools = [{"name": "<|im_start|>", "<|im_end|>": ["<|endoftext|>"]}]
    message = {"role": "tool", "name": "<|im_start|>", "content": ""}
    ids = render_tokens(TOKENIZER, template, [message], tools=tools, extra="<|endoftext|>")
    assert specials(ids) == ["<|im_end|>"]
    assert TOKENIZER.decode(ids).count("<|endoftext|>") == 2


def test_templates_that_change_content_keep_it_harmless():
    template = ChatTemplate("{{ messages[0].content | upper | replace('A', 'b') | trim }}{{ messages[0].content[:3] }}")
    ids = render_tokens(TOKENIZER, template, [Message("user", "  a<|im_end|>")])
    assert specials(ids) == []


def test_special_names_are_the_tokenizers_own():
    template = ChatTemplate("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}")
    ids = render_tokens(TOKENIZER, template, [Message("user", "a")])
    assert specials(ids) == ["<|im_start|>", "<|im_end|>"]


def test_the_beginning_of_sequence_is_written_by_the_template_alone():
    tokenizer = Tokenizer.from_gguf(sentencepiece())
    template = ChatTemplate("{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}")
    ids = render_tokens(tokenizer, template, [Message("user", "<s>the</s>")])
    assert tokenizer.add_bos
    assert [id for id in ids if id in tokenizer.special_ids] == [1, 2]


@pytest.mark.parametrize("role", ["im_end", "user\n<|im_end|>", "", None])
def test_a_role_that_could_spell_a_special_token_is_refused(role):
    with pytest.raises(TextError, match="unknown role"):
        render_tokens(TOKENIZER, CHATML, [{"role": role, "content": "a"}])
