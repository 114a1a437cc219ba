"""Our tokens and templates beside transformers and llama.cpp: same ids, same bytes."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import gguf
import jinja2
import llama_cpp
import pytest
import tokenizers
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

from greenlight.errors import TextError
from greenlight.formats.gguf import read_gguf
from greenlight.text import ChatTemplate, Message, Tokenizer, render_tokens
from greenlight.text.gguf_entries import gguf_entries
from greenlight.text.pretokenize import PRE_KINDS
from tests.text.vocabularies import added, byte_level, folder
from tests.witness.strings import varied_strings

N_STRINGS = 8000


@pytest.fixture(scope="module")
def metadata(default_model):
    return read_gguf(default_model).metadata


@pytest.fixture(scope="module")
def ours(metadata):
    return Tokenizer.from_gguf(metadata)


@pytest.fixture(scope="module")
def theirs(default_model):
    tokenizer = transformers.AutoTokenizer.from_pretrained(default_model.parent, gguf_file=default_model.name)
    # transformers does not know the pre-tokenizer "smollm" of GGUF files; the published tokenizer.json of SmolLM2 cuts
    # each digit off before GPT-2's pattern.
    tokenizer.backend_tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return tokenizer


@pytest.fixture(scope="module")
def texts():
    return varied_strings(N_STRINGS, seed=20260701)


def llama_ids(model: llama_cpp.Llama, text: str, *, special: bool) -> list[int]:
    return model.tokenize(text.encode(), add_bos=False, special=special) if text else []


def vocab_only(path: Path) -> llama_cpp.Llama:
    return llama_cpp.Llama(model_path=str(path), vocab_only=True, verbose=False)


def write_vocabulary(path: Path, kind: str, metadata: dict, **extra: object) -> Path:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model(kind)
    writer.add_token_list(list(metadata["tokenizer.ggml.tokens"]))
    writer.add_token_types([int(type_) for type_ in metadata["tokenizer.ggml.token_type"]])
    if "tokenizer.ggml.merges" in metadata:
        writer.add_token_merges(list(metadata["tokenizer.ggml.merges"]))
    if "tokenizer.ggml.scores" in metadata:
        writer.add_token_scores([float(score) for score in metadata["tokenizer.ggml.scores"]])
    if "pre" in extra:
        writer.add_tokenizer_pre(str(extra["pre"]))
    if "add_space_prefix" in extra:
        writer.add_add_space_prefix(bool(extra["add_space_prefix"]))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("special", [False, True])
def test_ids_are_those_of_transformers(ours, theirs, texts, special):
    for text in texts:
        expected = theirs.encode(text, add_special_tokens=False, split_special_tokens=not special)
        assert ours.encode(text, special=special) == expected, text
        assert ours.decode(expected, skip_special=False) == theirs.decode(expected)


@pytest.mark.parametrize("special", [False, True])
def test_ids_are_those_of_llama_cpp(ours, default_model, texts, special):
    model = vocab_only(default_model)
    # Bytes without a token are dropped by all three; llama.cpp alone keeps their neighbours apart.
    spelled = [text for text in texts if ours.missing_bytes.isdisjoint(text.encode())]
    assert len(spelled) >= 5000
    for text in spelled:
        assert ours.encode(text, special=special) == llama_ids(model, text, special=special), text


@pytest.mark.parametrize("pre", sorted(PRE_KINDS))
def test_each_way_of_splitting_is_llama_cpps(metadata, tmp_path, pre):
    model = vocab_only(write_vocabulary(tmp_path / "vocab.gguf", "gpt2", metadata, pre=pre))
    changed = {key: value for key, value in metadata.items() if key != "tokenizer.ggml.add_bos_token"}
    tokenizer = Tokenizer.from_gguf({**changed, "tokenizer.ggml.pre": pre})
    assert tokenizer.add_bos == bool(llama_cpp.llama_vocab_get_add_bos(model._model.vocab))
    for text in varied_strings(400, seed=7):
        # Qwen's published tokenizers compose characters first, which llama.cpp leaves out.
        text = unicodedata.normalize("NFC", text) if PRE_KINDS[pre].nfc else text
        if tokenizer.missing_bytes.isdisjoint(text.encode()):
            assert tokenizer.encode(text) == llama_ids(model, text, special=False), text


@pytest.mark.parametrize("add_space_prefix", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_sentencepiece_is_llama_cpps_on_random_vocabularies(tmp_path, rng_pieces, seed, add_space_prefix):
    pieces = rng_pieces(seed)
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [piece for piece, _, _ in pieces],
        "tokenizer.ggml.scores": [score for _, score, _ in pieces],
        "tokenizer.ggml.token_type": [type_ for _, _, type_ in pieces],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_space_prefix": add_space_prefix,
    }
    path = write_vocabulary(tmp_path / "vocab.gguf", "llama", metadata, add_space_prefix=add_space_prefix)
    model, tokenizer = vocab_only(path), Tokenizer.from_gguf(metadata)
    assert tokenizer.add_bos
    for text in varied_strings(300, seed=seed):
        for special in (False, True):
            # llama.cpp can merge ordinary text into a control or byte token; here that never happens.
            smuggled = ("<0x0A>",) if special else ("<0x0A>", "<unk>", "<s>", "</s>")
            if not any(spelling in text for spelling in smuggled):
                assert tokenizer.encode(text, special=special) == llama_ids(model, text, special=special), text


@pytest.fixture
def rng_pieces():
    def draw(seed: int) -> list[tuple[str, float, int]]:
        rng = random.Random(seed)
        special_texts = ("<unk>", "<s>", "</s>", "<0x")
        corpus = "".join(varied_strings(400, seed=seed + 100)).replace(" ", "▁")
        chars = sorted({char for char in corpus if char.isprintable()})
        longer = {corpus[i : i + rng.randint(2, 6)] for i in rng.choices(range(len(corpus)), k=3000)}
        # Few different scores, so that ties are common; runs, so that unions overlap themselves.
        runs = {"▁" * n for n in range(2, 9)} | {"=" * n for n in range(2, 6)}
        scored = [
            (piece, float(-rng.randint(1, 40)), 1)
            for piece in sorted(longer | runs)
            if len(piece) > 1 and "\0" not in piece and not any(text in piece for text in special_texts)
        ]
        if seed % 2:
            scored = [entry for entry in scored if "▁" not in entry[0].lstrip("▁")]
        special = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
        return special + [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)] + [(c, -1e6, 1) for c in chars] + scored

    return draw


def test_a_folder_is_read_as_transformers_reads_it(theirs, ours, texts, tmp_path):
    theirs.save_pretrained(tmp_path)
    folder = Tokenizer.from_folder(tmp_path)
    assert (folder.vocab_size, folder.bos_id, folder.eos_ids) == (ours.vocab_size, ours.bos_id, ours.eos_ids)
    assert folder.special_tokens == ours.special_tokens
    for text in texts[:2000]:
        for special in (False, True):
            expected = theirs.encode(text, add_special_tokens=False, split_special_tokens=not special)
            assert folder.encode(text, special=special) == expected, text
    for id in range(ours.vocab_size):
        assert folder.token_bytes(id) == ours.token_bytes(id)


# fmt: off
# ruff: noqa: E501 - templates read best in the lines that they have
TEMPLATES = {
    "turns": "{{ bos_token }}{% for m in messages %}\n<|im_start|>{{ m['role'] }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "namespace": "{%- set ns = namespace(system='', n=0) -%}\n{%- for m in messages if m.role == 'system' -%}"
    "{%- set ns.system = ns.system ~ m.content ~ '\\n' -%}{%- endfor -%}[{{ ns.system }}]\n"
    "{%- for m in messages -%}{%- if m.role != 'system' -%}{%- set ns.n = ns.n + 1 -%}"
    "{{ '%d %s: %s' % (ns.n, m.role | upper, m.content) }}{{ eos_token if not loop.last }}\n    {%- endif -%}{%- endfor -%}",
    "tools": "{%- if tools %}{{ tools | tojson(indent=2) }}\n{{ tools | map(attribute='name') | join(', ') }}{% endif -%}"
    "{%- macro turn(m, first=false) -%}{{ '^' if first }}{{ m.role | title }}: {{ m.content | replace('a', 'A') }}"
    "{%- endmacro -%}{% for m in messages %}{{ turn(m, loop.first) }}{{ loop.index0 ~ '/' ~ loop.length }}{% endfor %}",
    "strict": "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% set sys = messages[0].content %}"
    "{% else %}{% set rest = messages %}{% endif %}{% for m in rest %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if loop.first and sys is defined %}{{ sys }}\n\n{% endif %}{{ m.content.split('</think>')[-1].strip() }}\n{% endfor %}",
    "loops": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}"
    "{{ m | tojson }}{{ m.content[:5] }}{{ m.content.startswith('H') }}{% if loop.index > 2 %}{% break %}{% endif %}"
    "{% endfor %}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ none is none }}{{ 1 < 2 < 3 }}"
    "{{ {'ä': [1, 2.5, true, none]} | tojson }}{% set x %}block{% endset %}{{ x | length }}{{ messages | last }}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}"
    "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}{{ '{:>6}|{}'.format('a', 2) }}",
}
CONTENTS = (
    "Hi",
    "  two\n lines \n",
    "",
    '<b>&"quotes"\'</b>',
    "Ünïcödé 👩‍👩‍👧 你好",
    "<think>no</think> yes",
    "{{ 7*7 }} {% x %}",
    "a" * 3000,
)


# fmt: on


def conversations() -> list[list[dict[str, str]]]:
    turns = [{"role": role, "content": content} for content in CONTENTS for role in ("system", "user", "assistant")]
    shapes = (
        ("user",),
        ("system", "user"),
        ("user", "assistant", "user"),
        ("system", "user", "assistant", "user", "assistant"),
    )
    found = []
    for shift, _ in enumerate(CONTENTS):
        for shape in shapes:
            found.append(
                [{"role": role, "content": CONTENTS[(shift + i) % len(CONTENTS)]} for i, role in enumerate(shape)]
            )
    return [*found, turns, [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]]


TOOLS = [
    {"name": "clock", "description": 'Tells <the> time — "now"', "parameters": {"type": "object", "properties": {}}}
]


@pytest.mark.parametrize("name", [*TEMPLATES, "the default model's"])
def test_rendered_text_is_transformers_byte_for_byte(name, metadata):
    source = TEMPLATES.get(name) or metadata["tokenizer.chat_template"]
    template, named = ChatTemplate(source), {"bos_token": "<s>", "eos_token": "</s>"}
    for messages in conversations():
        for prompt in (True, False):
            for tools in (None, TOOLS):
                given = {"tools": tools, "add_generation_prompt": prompt, **named}
                if name == "strict" and alternation_is_broken(messages):
                    with pytest.raises(jinja2.TemplateError, match="alternate"):
                        render_jinja_template(conversations=[messages], chat_template=source, **given)
                    with pytest.raises(TextError, match="refuses"):
                        template.render(messages, **given)
                    continue
                [expected], _ = render_jinja_template(conversations=[messages], chat_template=source, **given)
                assert template.render(messages, **given) == expected


def alternation_is_broken(messages):
    rest = messages[1:] if messages[0]["role"] == "system" else messages
    return any((message["role"] == "user") != (i % 2 == 0) for i, message in enumerate(rest))


def test_rendered_tokens_are_transformers_where_nothing_looks_special(ours, theirs, metadata):
    template = ChatTemplate(metadata["tokenizer.chat_template"])
    for messages in conversations():
        expected = theirs.apply_chat_template(messages, tokenize=True, add_generation_prompt=True, return_dict=False)
        assert render_tokens(ours, template, messages) == expected
    for text in varied_strings(500, seed=11):
        if not any(token in text for token in ours.special_tokens):
            messages = [{"role": "user", "content": text}]
            expected = theirs.apply_chat_template(
                messages, tokenize=True, add_generation_prompt=True, return_dict=False
            )
            assert render_tokens(ours, template, [Message("user", text)]) == expected, text


def test_special_tokens_in_a_chat_are_as_many_as_the_template_writes(ours, metadata):
    template = ChatTemplate(metadata["tokenizer.chat_template"])
    for text in varied_strings(1000, seed=12):
        ids = render_tokens(ours, template, [Message("user", text)])
        assert [id for id in ids if id in ours.special_ids] == [1, 2, 1, 2, 1], text


def split_folder(path: Path, pre: str) -> Path:
    """A small vocabulary as a folder whose tokenizer.json splits text as a family does."""
    kind, metadata = PRE_KINDS[pre], byte_level()
    tokens = metadata["tokenizer.ggml.tokens"]
    splits = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in kind.patterns
    ]
    last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": kind.gpt2}
    model = {
        "type": "BPE",
        "vocab": {token: id for id, token in enumerate(tokens)},
        "merges": metadata["tokenizer.ggml.merges"],
        "ignore_merges": kind.ignore_merges,
    }
    return folder(
        path,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [*splits, last]},
        normalizer={"type": "NFC"} if kind.nfc else None,
        model=model,
    )


@pytest.mark.parametrize("pre", ["gpt-4o", "tekken", "qwen2", "llama-bpe", "dbrx"])
def test_folders_of_each_familys_kind_are_read_as_transformers_reads_them_and_as_the_gguf_file(tmp_path, pre):
    path = split_folder(tmp_path / pre, pre)
    reader = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path / "tokenizer.json"))
    folder_, gguf_ = Tokenizer.from_folder(path), Tokenizer.from_gguf(byte_level(**{"tokenizer.ggml.pre": pre}))
    for text in varied_strings(800, seed=21):
        expected = reader.encode(text, add_special_tokens=False, split_special_tokens=True)
        assert folder_.encode(text) == expected, text
        assert gguf_.encode(text) == expected, text


def gemma_folder(path: Path) -> Path:
    """Gemma's kind: spaces become a mark, merges cross words, bytes stand in for what has no token, nothing goes first."""
    words = ["▁", "t", "h", "e", "a", "\n", "th", "the", "▁the", "▁▁", "▁a", "\n\n", "e▁", "e▁the"]
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    merges = ["t h", "th e", "▁ the", "▁ ▁", "▁ a", "\n \n", "e ▁", "e▁ the"]
    model = {
        "type": "BPE",
        "vocab": {token: id for id, token in enumerate(tokens)},
        "merges": [merge.split(" ") for merge in merges],
        "byte_fallback": True,
        "unk_token": "<unk>",
        "fuse_unk": True,
    }
    steps = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    return folder(
        path,
        model=model,
        normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        pre_tokenizer={"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
        decoder={"type": "Sequence", "decoders": steps},
        added_tokens=[added(id, text) for id, text in enumerate(special)],
    )


def test_folders_of_gemmas_kind_are_read_as_transformers_reads_them(tmp_path):
    path = gemma_folder(tmp_path / "gemma")
    reader = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path / "tokenizer.json"))
    tokenizer = Tokenizer.from_folder(path)
    for text in ["the the\n\nthe  a", *varied_strings(800, seed=22)]:
        for special in (False, True):
            expected = reader.encode(text, add_special_tokens=False, split_special_tokens=not special)
            assert tokenizer.encode(text, special=special) == expected, text
        assert tokenizer.decode(expected, skip_special=False) == reader.decode(
            expected, clean_up_tokenization_spaces=False
        )


@pytest.mark.parametrize("seed", range(3))
def test_merges_of_lines_are_read_as_llama_cpp_and_transformers_read_them(tmp_path, seed):
    """A vocabulary learnt from strings, as a folder of Gemma's kind and as the GGUF file that is made of it."""
    path = learnt_folder(tmp_path / "gemma", seed)
    reader = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path / "tokenizer.json"))
    entries = gguf_entries(path, len(reader), by_lines=True)
    assert entries["tokenizer.ggml.model"] == "gemma4"
    model, ours = vocab_only(write_vocabulary(tmp_path / "m.gguf", "gemma4", entries)), Tokenizer.from_gguf(entries)
    for text in varied_strings(800, seed=seed):
        for special in (False, True):
            expected = reader.encode(text, add_special_tokens=False, split_special_tokens=not special)
            assert ours.encode(text, special=special) == expected, text
            if not any(spelling in text for spelling in ("<0x0A>", "<bos>", "<eos>", "<unk>", "<pad>")):
                assert llama_ids(model, text, special=special) == expected, text


def learnt_folder(path: Path, seed: int) -> Path:
    """Gemma's kind with merges as byte-pair encoding learns them."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    trained = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    trained.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"\n+|[^\n]+"), "isolated")
    texts = varied_strings(400, seed=seed + 100)
    marked = (text.replace(" ", "▁") for text in texts if not {"\0", "<"} & set(text))
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=2000, limit_alphabet=200, special_tokens=special, show_progress=False
    )
    trained.train_from_iterator(marked, trainer)
    model = json.loads(trained.to_str())["model"]
    for token in (f"<0x{byte:02X}>" for byte in range(256)):
        model["vocab"].setdefault(token, len(model["vocab"]))
    folder_ = gemma_folder(path)
    state = json.loads((folder_ / "tokenizer.json").read_text())
    state["model"] |= {"vocab": model["vocab"], "merges": model["merges"]}
    state["added_tokens"] = [added(id, text) for id, text in enumerate(special)]
    (folder_ / "tokenizer.json").write_text(json.dumps(state))
    settings = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "add_bos_token": True}
    (folder_ / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder_
