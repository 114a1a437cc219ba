import json

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import FormatError, TextError, UnsupportedError
from greenlight.text import Tokenizer
from tests.text.vocabularies import SPECIAL, added, byte_level, folder


def test_a_folder_gives_the_same_tokenizer_as_the_gguf_file(tmp_path):
    ours, gguf = Tokenizer.from_folder(folder(tmp_path / "m")), Tokenizer.from_gguf(byte_level())
    assert (ours.vocab_size, ours.bos_id, ours.eos_ids, ours.add_bos) == (gguf.vocab_size, 1, {0, 2}, False)
    assert ours.special_tokens == gguf.special_tokens
    assert ours.chat_template == gguf.chat_template
    for text in ("the thing\n123", "<|im_end|>", "<think>é"):
        for special in (False, True):
            assert ours.encode(text, special=special) == gguf.encode(text, special=special)
    assert all(ours.token_bytes(id) == gguf.token_bytes(id) for id in range(gguf.vocab_size))


PARTS = st.sampled_from([*SPECIAL, " ", "\n", "the", "  ", "a", "_", "é", "<mask>", "\u00a0", "<word>"])


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=12).map("".join))
def test_special_tokens_strip_and_stand_alone_as_the_library_has_it(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "flags"
    if not path.exists():
        n = len(byte_level()["tokenizer.ggml.tokens"])
        extra = [
            added(0, SPECIAL[0], rstrip=True),
            added(1, SPECIAL[1], lstrip=True),
            added(2, SPECIAL[2]),
            added(n, "<mask>", lstrip=True, rstrip=True),
            added(n + 1, "<word>", single_word=True),
        ]
        folder(path, added_tokens=extra)
    library = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    assert Tokenizer.from_folder(path).encode(text, special=True) == library.encode(text, add_special_tokens=False).ids


LLAMA_LIKE = {
    "decoder": {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    },
    "model": {
        "type": "BPE",
        "vocab": {
            **{"<unk>": 0, "<s>": 1, "</s>": 2},
            **{f"<0x{byte:02X}>": byte + 3 for byte in range(256)},
            **{"▁": 259, "t": 260, "h": 261, "e": 262, "th": 263, "the": 264, "▁the": 265},
        },
        "merges": ["t h", "th e", "▁ the"],
        "byte_fallback": True,
        "unk_token": "<unk>",
        "fuse_unk": True,
    },
    "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
PREPEND = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ],
}


@pytest.mark.parametrize(("normalizer", "pre_tokenizer"), [(PREPEND, None), (None, METASPACE)])
@pytest.mark.parametrize("text", ["the the", "the</s>the", "</s> the", "é", "<s>the</s>", ""])
def test_sentencepiece_folders_encode_as_the_library_does(tmp_path, normalizer, pre_tokenizer, text):
    path = folder(tmp_path, normalizer=normalizer, pre_tokenizer=pre_tokenizer, **LLAMA_LIKE)
    library = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    ours = Tokenizer.from_folder(path)
    ids = ours.encode(text, special=True)
    assert ids == library.encode(text, add_special_tokens=False).ids
    assert ours.decode(ids, skip_special=False) == library.decode(ids, skip_special_tokens=False)


def test_more_ends_and_the_template_come_from_the_files_beside(tmp_path):
    path = folder(tmp_path)
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 7]}))
    (path / "chat_template.jinja").write_text("own file")
    tokenizer = Tokenizer.from_folder(path)
    assert tokenizer.eos_ids == {0, 2, 7}
    assert tokenizer.chat_template == "own file"


def test_a_list_of_templates_means_its_default(tmp_path):
    path = folder(tmp_path)
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "chat"}]
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert Tokenizer.from_folder(path).chat_template == "chat"


def test_templates_in_files_of_their_own_replace_those_in_the_settings(tmp_path):
    path = folder(tmp_path)
    (path / "chat_template.jinja").write_text("chat")
    (path / "additional_chat_templates").mkdir()
    (path / "additional_chat_templates" / "tool_use.jinja").write_text("tools")
    assert Tokenizer.from_folder(path).chat_templates == {"default": "chat", "tool_use": "tools"}


def test_several_templates_of_which_none_is_the_default_are_all_known(tmp_path):
    path = folder(tmp_path)
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": [{"name": "rag", "template": "r"}]}))
    tokenizer = Tokenizer.from_folder(path)
    assert (tokenizer.chat_template, tokenizer.chat_templates) == (None, {"rag": "r"})


def test_the_template_of_a_processor_serves_where_there_is_no_other(tmp_path):
    path = folder(tmp_path)
    (path / "tokenizer_config.json").write_text("{}")
    (path / "chat_template.json").write_text(json.dumps({"chat_template": "seen"}))
    assert Tokenizer.from_folder(path).chat_template == "seen"


def test_the_beginning_of_sequence_follows_the_post_processor_or_the_setting(tmp_path):
    post = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}},
    }
    path = folder(tmp_path, post_processor=post)
    tokenizer = Tokenizer.from_folder(path)
    assert tokenizer.add_bos
    assert tokenizer.encode("a", bos=True).count(1) == 1
    config = json.loads((path / "tokenizer_config.json").read_text())
    (path / "tokenizer_config.json").write_text(json.dumps({**config, "add_bos_token": False}))
    assert not Tokenizer.from_folder(path).add_bos


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(TextError, match=r"no tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TextError, match="cannot be read"):
        Tokenizer.from_folder(tmp_path)
    path = folder(tmp_path)
    (path / "tokenizer_config.json").write_text("[1]")
    with pytest.raises(FormatError, match="not a JSON object"):
        Tokenizer.from_folder(path)
    (path / "tokenizer_config.json").write_text("{")
    with pytest.raises(FormatError, match="not valid JSON"):
        Tokenizer.from_folder(path)
    (path / "tokenizer_config.json").write_text('{"a":' + "[" * 200_000 + "]" * 200_000 + "}")
    with pytest.raises(FormatError, match="not valid JSON"):
        Tokenizer.from_folder(path)


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        ("tokenizer_config.json", "chat_template", [1]),
        ("tokenizer_config.json", "chat_template", {"default": "x"}),
        ("tokenizer_config.json", "chat_template", [{"name": "default", "template": 1}]),
        ("tokenizer_config.json", "eos_token", {}),
        ("tokenizer_config.json", "eos_token", ["</s>"]),
        ("special_tokens_map.json", "unk_token", {"content": 1}),
        ("generation_config.json", "eos_token_id", "2"),
        ("generation_config.json", "eos_token_id", [[2]]),
        ("generation_config.json", "eos_token_id", True),
    ],
)
def test_settings_of_the_wrong_type_are_named(tmp_path, file, name, value):
    path = folder(tmp_path)
    (path / file).write_text(json.dumps({name: value}))
    with pytest.raises(TextError, match="wrong type") as caught:
        Tokenizer.from_folder(path)
    assert name in (caught.value.where or "")


def test_ids_may_leave_gaps_but_not_fill_the_memory(tmp_path):
    vocab = {token: id for id, token in enumerate(byte_level()["tokenizer.ggml.tokens"])}
    merges = byte_level()["tokenizer.ggml.merges"]
    for last in (5000, 4_294_967_294):
        folder(tmp_path, model={"type": "BPE", "vocab": {**vocab, "far": last}, "merges": merges})
        if last == 5000:
            assert Tokenizer.from_folder(tmp_path).vocab_size == 5001
        else:
            with pytest.raises(TextError, match="far outside") as caught:
                Tokenizer.from_folder(tmp_path)
            assert "4294967294" in (caught.value.found or "")


def test_what_cannot_be_done_exactly_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="WordLevel"):
        Tokenizer.from_folder(folder(tmp_path, model={"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}))
    with pytest.raises(UnsupportedError, match="decoder"):
        Tokenizer.from_folder(folder(tmp_path, decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}))
    rewritten = [added(0, "<|endoftext|>", normalized=True)]
    with pytest.raises(UnsupportedError, match="rewritten"):
        Tokenizer.from_folder(
            folder(
                tmp_path,
                normalizer={"type": "Replace", "pattern": {"String": "|"}, "content": "!"},
                added_tokens=rewritten,
            )
        )
