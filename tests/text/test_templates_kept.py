"""Chat templates go from GGUF to folder and back under their names."""

import pytest

from greenlight.errors import UnsupportedError
from greenlight.text import Tokenizer
from greenlight.text.folder_files import write_tokenizer
from greenlight.text.gguf_entries import gguf_entries
from tests.text.vocabularies import TEMPLATE, byte_level


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
