"""Chat templates go from GGUF to folder and back under their names, and tokenizers as what they are."""

import json

import numpy as np
import pytest

from greenlight.errors import TextError, UnsupportedError
from greenlight.text import Tokenizer
from greenlight.text.folder_files import write_tokenizer
from greenlight.text.gguf_entries import gguf_entries
from tests.text.vocabularies import TEMPLATE, by_lines, byte_level


def test_templates_keep_their_names_from_file_to_folder_and_back(tmp_path):
    metadata = byte_level(**{"tokenizer.chat_template.tool_use": "tools"})
    write_tokenizer(tmp_path, metadata, 64)
    expected = {"default": TEMPLATE, "tool_use": "tools"}
    assert Tokenizer.from_folder(tmp_path).chat_templates == expected
    entries = gguf_entries(tmp_path, len(metadata["tokenizer.ggml.tokens"]))
    assert Tokenizer.from_gguf(entries).chat_templates == expected


def test_a_template_whose_name_is_a_path_is_refused(tmp_path):
    metadata = byte_level(**{"tokenizer.chat_template.../x": "tools"})
    folder = tmp_path / "a"
    folder.mkdir()
    with pytest.raises(UnsupportedError, match="name of a file"):
        write_tokenizer(folder, metadata, 64)
    assert list(tmp_path.rglob("*x*")) == []


def without_html():
    """A vocabulary by lines whose last token, a tag of HTML, is left out: with scores it would be an end."""
    metadata = by_lines()
    for name in ("tokens", "token_type"):
        metadata[f"tokenizer.ggml.{name}"].pop()
    return metadata


@pytest.mark.parametrize(("wanted", "kind"), [(True, "gemma4"), (False, "llama")])
def test_merges_of_lines_go_from_file_to_folder_and_back(tmp_path, wanted, kind):
    metadata = by_lines() if wanted else without_html()
    write_tokenizer(tmp_path, metadata, 64)
    entries = gguf_entries(tmp_path, len(metadata["tokenizer.ggml.tokens"]), by_lines=wanted)
    assert entries["tokenizer.ggml.model"] == kind
    assert ("tokenizer.ggml.merges" in entries) is wanted
    ours, back = Tokenizer.from_gguf(metadata), Tokenizer.from_gguf(entries)
    assert back.eos_ids == ours.eos_ids
    for text in ("the a  the\n\nthe", "<bos>é<turn|><|channel></s>"):
        assert back.encode(text, special=True, bos=True) == ours.encode(text, special=True, bos=True)


def test_a_folder_that_begins_no_text_has_scores_which_say_so(tmp_path):
    """Readers of merges of lines begin every text, whatever a flag says."""
    metadata = without_html()
    write_tokenizer(tmp_path, metadata, 64)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"add_bos_token": False}))
    entries = gguf_entries(tmp_path, len(metadata["tokenizer.ggml.tokens"]), by_lines=True)
    assert entries["tokenizer.ggml.model"] == "llama"
    assert entries["tokenizer.ggml.add_bos_token"] is False


def test_tokens_that_are_never_to_be_chosen_go_along(tmp_path):
    metadata = by_lines(**{"tokenizer.ggml.suppress_tokens": np.array([270, 5], np.int32)})
    write_tokenizer(tmp_path, metadata, 64)
    assert json.loads((tmp_path / "generation_config.json").read_text())["suppress_tokens"] == [270, 5]
    entries = gguf_entries(tmp_path, len(metadata["tokenizer.ggml.tokens"]), by_lines=True)
    assert entries["tokenizer.ggml.suppress_tokens"].tolist() == [270, 5]


@pytest.mark.parametrize("said", ["5", [5.0], [True], {"a": 1}])
def test_tokens_never_to_be_chosen_that_are_no_ids_are_named(tmp_path, said):
    with pytest.raises(TextError, match="wrong type"):
        write_tokenizer(tmp_path, by_lines(**{"tokenizer.ggml.suppress_tokens": said}), 64)
    write_tokenizer(tmp_path, by_lines(), 64)
    settings = json.loads((tmp_path / "generation_config.json").read_text())
    (tmp_path / "generation_config.json").write_text(json.dumps(settings | {"suppress_tokens": said}))
    with pytest.raises(TextError, match="wrong type"):
        gguf_entries(tmp_path, 300, by_lines=True)
