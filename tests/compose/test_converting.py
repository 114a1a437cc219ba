from __future__ import annotations

import json
import multiprocessing
import os
import signal
from dataclasses import replace

import pytest

from greenlight.compose import identity
from greenlight.compose.converting import Wish, convert
from greenlight.compose.identity import Text, compare, listen, windows_of
from greenlight.compose.models import Files
from greenlight.compose.observer import Observer
from greenlight.errors import FormatError, HubError, TextError, UsageError
from greenlight.evidence import read_json, sha256_file, sha256_json
from greenlight.formats.gguf import read_gguf
from greenlight.formats.tensors import TensorType
from greenlight.hub import digest
from greenlight.model.checkpoint import open_checkpoint
from greenlight.text import Tokenizer
from greenlight.text.folder_files import write_tokenizer
from tests.chat_model import tiny_chat_model
from tests.gguf_parts import split_gguf
from tests.model.families import config_of, random_folder
from tests.text.vocabularies import by_lines

TEXT = Text("a text", "The quick brown fox jumps over the lazy dog. " * 4)
WIDE = Wish(text=TEXT)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return tiny_chat_model(tmp_path_factory.mktemp("source") / "tiny.gguf")


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory):
    target = tmp_path_factory.mktemp("folder") / "hf"
    convert(str(source), target)
    return target


def test_another_format_is_the_same_model(source, folder, tmp_path):
    report = convert(str(folder), tmp_path / "back.gguf", WIDE)
    assert report["measured"]["kl"]["max"] == 0
    assert report["measured"]["first_difference"] is None
    ours, theirs = read_gguf(tmp_path / "back.gguf"), read_gguf(source)
    for name, tensor in theirs.tensors.items():
        assert ours.tensors[name].data.tobytes() == tensor.data.tobytes(), name


def test_the_report_chains_digests_and_is_bound_to_itself(source, tmp_path):
    target = tmp_path / "q8.gguf"
    report = convert(str(source), target, replace(WIDE, type_=TensorType.Q8_0))
    assert report == read_json(identity.report_path(target), "identity")
    assert report["source"]["sha256"] == sha256_file(source)
    assert report["target"]["sha256"] == sha256_file(target)
    assert read_gguf(target).metadata["greenlight.parent.sha256"] == sha256_file(source)
    assert report["id"] == sha256_json({key: value for key, value in report.items() if key != "id"})
    assert report["types"]["Q8_0"] > 0
    assert 0 < report["measured"]["kl"]["mean"] < 0.1


def test_the_same_conversion_gives_the_same_bytes(source, tmp_path):
    wish = replace(WIDE, type_=TensorType.Q4_0)
    reports = [convert(str(source), tmp_path / name / "m.gguf", wish) for name in "ab" if not (tmp_path / name).mkdir()]
    assert reports[0]["target"]["sha256"] == reports[1]["target"]["sha256"]
    assert reports[0]["measured"] == reports[1]["measured"]


def test_licence_and_origin_go_along(source, folder, tmp_path):
    assert 'license: "apache-2.0"' in (folder / "README.md").read_text()
    (folder / "README.md").write_text("---\nlicense: mit\nbase_model: someone/something\n---\n")
    convert(str(folder), tmp_path / "m.gguf")
    metadata = read_gguf(tmp_path / "m.gguf").metadata
    assert metadata["general.license"] == "mit"
    assert metadata["general.base_model.0.organization"] == "someone"
    assert metadata["general.base_model.0.name"] == "something"


def test_the_tokenizer_goes_along_both_ways(source, folder, tmp_path):
    convert(str(folder), tmp_path / "m.gguf")
    readings = [
        Tokenizer.from_gguf(read_gguf(source).metadata),
        Tokenizer.from_folder(folder),
        Tokenizer.from_gguf(read_gguf(tmp_path / "m.gguf").metadata),
    ]
    for text in ("the thing in the end", "<|im_start|>user", "naïve 123 😀"):
        first, *others = [tokenizer.encode(text, special=True, bos=True) for tokenizer in readings]
        assert others == [first, first]
    assert len({tokenizer.chat_template for tokenizer in readings}) == 1
    assert len({tokenizer.eos_ids for tokenizer in readings}) == 1


def test_splits_are_told_apart_even_where_a_small_vocabulary_cannot(folder, tmp_path):
    """Digits cut off before GPT-2's pattern are not Llama 3's pattern, whatever few merges make of both."""
    convert(str(folder), tmp_path / "m.gguf")
    metadata = read_gguf(tmp_path / "m.gguf").metadata
    assert metadata["tokenizer.ggml.pre"] == "smollm"
    assert Tokenizer.from_gguf(metadata).encode("    8") == Tokenizer.from_folder(folder).encode("    8")


def test_config_of_the_folder_says_its_type_and_ties(folder):
    config = json.loads((folder / "config.json").read_text())
    assert (config["torch_dtype"], config["tie_word_embeddings"]) == ("float32", False)


def test_inputs_that_were_weighed_are_compared_with_not_weighing(source, tmp_path):
    wish = replace(WIDE, type_=TensorType.Q4_0, calibration=TEXT)
    report = convert(str(source), tmp_path / "m.gguf", wish)
    without = report["measured"]["calibration"]["without"]
    assert {"kl", "top1"} == without.keys()
    assert {path.name for path in tmp_path.iterdir()} == {"m.gguf", "m.gguf.identity.json"}


def test_every_linear_is_weighed_by_its_name_here(source):
    weights = [name for name, tensor in open_checkpoint(source).tensors.items() if len(tensor.shape) > 1]
    heard = listen(Files(source), TEXT)
    assert heard.keys() == set(weights) - {"model.embed_tokens.weight"}
    for name, mean in heard.items():
        assert mean.shape == open_checkpoint(source).tensors[name].shape[-1:]


class KilledBy(Observer):
    """Kills its own process, as kill -9 does, on the first word of a kind."""

    def __init__(self, event):
        setattr(self, event, lambda *_: os.kill(os.getpid(), signal.SIGKILL))


class Heard(Observer):
    """What was said of an earlier attempt."""

    def __init__(self):
        self.said, self.written = [], 0

    def writing(self, done, total):
        self.written = done

    def beginning_anew(self, target, n_bytes):
        self.said.append(("anew", n_bytes > 0))

    def going_on(self, target):
        self.said.append(("on", target.exists()))


def convert_and_die(source, target, wish, event):
    convert(source, target, wish, observer=KilledBy(event))


@pytest.fixture(scope="module")
def killed(source):
    """Converts in a process that finds all modules imported, and dies of the first word of a kind."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])

    def die(target, wish, event):
        process = processes.Process(target=convert_and_die, args=(str(source), target, wish, event))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        process.close()

    return die


@pytest.mark.parametrize("name", ["m.gguf", "hf"])
def test_killed_while_it_writes_nothing_has_the_name_and_the_next_attempt_begins_anew(source, killed, tmp_path, name):
    target, wish, heard = tmp_path / name, replace(WIDE, type_=TensorType.F16), Heard()
    killed(target, wish, "writing")
    assert not target.exists()
    assert (tmp_path / f".{name}.partial").exists()
    report = convert(str(source), target, wish, observer=heard)
    assert heard.said == [("anew", True)]
    (tmp_path / "other").mkdir()
    assert report["target"]["sha256"] == convert(str(source), tmp_path / "other" / name, wish)["target"]["sha256"]
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.identity.json", "other"}


def test_killed_while_it_compares_the_next_attempt_only_compares(source, killed, tmp_path):
    target, heard = tmp_path / "m.gguf", Heard()
    wish = replace(WIDE, type_=TensorType.Q4_0)
    killed(target, wish, "measuring")
    assert target.exists()
    assert not identity.report_path(target).exists()
    with pytest.raises(FormatError, match="written over"):
        convert(str(source), target, replace(wish, type_=TensorType.Q8_0))
    before = target.stat()
    report = convert(str(source), target, wish, observer=heard)
    assert heard.said == [("on", True)]
    assert heard.written == 0
    assert target.stat() == before
    (tmp_path / "other").mkdir()
    again = convert(str(source), tmp_path / "other" / "m.gguf", wish)
    assert {**report, "target": 0, "id": 0} == {**again, "target": 0, "id": 0}
    assert {path.name for path in tmp_path.iterdir()} == {"m.gguf", "m.gguf.identity.json", "other"}


def test_a_model_that_was_changed_since_is_not_gone_on_with(source, killed, tmp_path):
    killed(tmp_path / "m.gguf", WIDE, "measuring")
    with (tmp_path / "m.gguf").open("ab") as file:
        file.write(b"more")
    with pytest.raises(FormatError, match="written over"):
        convert(str(source), tmp_path / "m.gguf", WIDE)


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"asked": 1, "made": []}', b'{"made": {"target_digest": 1}}'])
def test_a_note_of_an_earlier_attempt_that_is_none_counts_as_none(source, tmp_path, said):
    (tmp_path / ".m.gguf.written").write_bytes(said)
    assert convert(str(source), tmp_path / "m.gguf", WIDE)["target"]["sha256"]
    assert not (tmp_path / ".m.gguf.written").exists()


@pytest.mark.parametrize("name", ["m.gguf", "m.gguf.identity.json"])
def test_neither_model_nor_report_is_written_over(source, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FormatError, match="written over"):
        convert(str(source), tmp_path / "m.gguf")
    assert (tmp_path / name).read_text() == "mine"


def test_a_name_that_contradicts_the_format_is_refused(source, tmp_path):
    with pytest.raises(UsageError, match="does not go with"):
        convert(str(source), tmp_path / "m.gguf", Wish(format_="hf"))


def test_a_model_in_parts_becomes_one_file_again(source, tmp_path):
    whole = source.read_bytes()
    (tmp_path / "tiny.gguf").write_bytes(whole)
    n_tensors = len(read_gguf(source).tensors)
    parts = split_gguf(tmp_path / "tiny.gguf", 3, n_tensors - 3)
    report = convert(str(parts[1]), tmp_path / "one.gguf", WIDE)
    assert report["source"]["sha256"] == digest(parts[0])
    assert report["measured"]["kl"]["max"] == 0
    one = read_gguf(tmp_path / "one.gguf")
    assert not [key for key in one.metadata if key.startswith("split.")]
    for name, tensor in read_gguf(source).tensors.items():
        assert one.tensors[name].data.tobytes() == tensor.data.tobytes(), name


def test_a_name_of_a_part_is_no_target(source, tmp_path):
    with pytest.raises(UsageError, match="one part of a model") as caught:
        convert(str(source), tmp_path / "m-00001-of-00002.gguf")
    assert caught.value.do == "name it m.gguf"


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(HubError):
        convert(str(tmp_path / "no.gguf"), tmp_path / "m.gguf")


def test_a_folder_without_a_tokenizer_is_refused_unless_that_is_meant(folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "bare").mkdir(exist_ok=True)
        (tmp_path / "bare" / name).symlink_to(folder / name)
    with pytest.raises(TextError, match=r"no tokenizer\.json"):
        convert(str(tmp_path / "bare"), tmp_path / "m.gguf")
    convert(str(tmp_path / "bare"), tmp_path / "m.gguf", Wish(tokenizer=False))
    assert read_gguf(tmp_path / "m.gguf").metadata["tokenizer.ggml.model"] == "none"


def test_two_models_that_read_text_differently_are_not_compared(source, tmp_path):
    other = tmp_path / "other.gguf"
    # One merge less: t and h are never joined.
    other.write_bytes(source.read_bytes().replace(b"\x03\0\0\0\0\0\0\0t h", b"\x03\0\0\0\0\0\0\0i m"))
    with pytest.raises(TextError, match="different tokens"):
        compare(Files(source), other, Text("a word", "the thing"))


@pytest.mark.parametrize("size", [2, 5, 512])
def test_windows_cover_the_text_and_begin_as_texts_begin(source, size):
    tokenizer = Tokenizer.from_gguf(read_gguf(source).metadata)
    windows = windows_of(TEXT, tokenizer, size)
    assert all(len(window) <= size for window in windows)
    ids = tokenizer.encode(TEXT.text)
    assert [int(id) for window in windows for id in window] == ids[: len(ids) - len(ids) % size if size == 2 else None]


def test_chunks_of_logits_change_nothing(source, monkeypatch):
    whole = compare(Files(source), source, TEXT)
    monkeypatch.setattr(identity, "_CHUNK_LOGITS", 1000)
    assert compare(Files(source), source, TEXT)["perplexity"] == whole["perplexity"]


def test_a_text_too_short_is_refused(source):
    with pytest.raises(TextError, match="too short"):
        compare(Files(source), source, Text("x", ""))


def test_a_text_that_is_no_text_is_named(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.raises(TextError, match="cannot be read"):
        Text.of_file(tmp_path / "x")


def test_the_packaged_text_is_long_enough_to_tell_models_apart():
    assert len(Text.packaged().text.split()) > 900


def test_a_window_that_the_file_cannot_say_is_said_in_a_note(tmp_path):
    folder = random_folder(tmp_path / "hf", config_of("mistral", sliding_window=24))
    (note,) = convert(str(folder), tmp_path / "m.gguf", Wish(tokenizer=False))["notes"]
    assert "context_length is 24" in note


def test_gemma_4_goes_to_a_file_and_to_a_folder_with_its_tokenizer_and_nothing_differs(tmp_path):
    """Inputs by layer, shared keys and a double feed-forward; a folder of a whole becomes one of its text part."""
    n_tokens = len(by_lines()["tokenizer.ggml.tokens"])
    config = config_of("gemma4 by layer", vocab_size=n_tokens, vocab_size_per_layer_input=n_tokens)
    folder = random_folder(tmp_path / "hf", config)
    write_tokenizer(folder, by_lines(), 512)
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma4", "text_config": config}))
    for source, target in (("hf", "m.gguf"), ("m.gguf", "back")):
        report = convert(str(tmp_path / source), tmp_path / target, WIDE)
        assert report["measured"]["kl"]["max"] == 0
        assert report["measured"]["first_difference"] is None
    assert read_gguf(tmp_path / "m.gguf").metadata["tokenizer.ggml.model"] == "gemma4"
    before, after = open_checkpoint(folder), open_checkpoint(tmp_path / "back")
    assert after.metadata["model_type"] == "gemma4_text"
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert after[name].data.tobytes() == tensor.data.tobytes(), name
