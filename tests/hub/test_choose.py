"""Which files of a repository are the model? What runs it, whole or not at all, under names that a disk can bear."""

import json

import pytest

from greenlight.errors import HubError
from greenlight.hub import cached, find, parse_reference, pull, resolve
from tests.hub.servers import COMMIT, FOLDER, LATER, WEIGHTS, Hub, listed


def test_the_only_gguf_file_is_the_model(serve):
    serve(Hub({"README.md": b"x", "tiny.gguf": WEIGHTS}, lfs={"tiny.gguf"}))
    path = pull("hf:acme/tiny")
    assert path.name == "tiny.gguf"
    assert path.read_bytes() == WEIGHTS


def test_of_several_files_one_must_be_named(serve):
    serve(Hub({"a.gguf": b"a", "b.gguf": WEIGHTS}, lfs={"a.gguf", "b.gguf"}))
    with pytest.raises(HubError) as caught:
        pull("hf:acme/tiny")
    assert "hf:acme/tiny:a.gguf" in (caught.value.do or "")
    assert pull("hf:acme/tiny:b.gguf").read_bytes() == WEIGHTS


def test_a_file_that_is_not_there_offers_the_nearest(serve):
    serve(Hub({"tiny-q4.gguf": b"a"}))
    with pytest.raises(HubError, match=r"tiny-q4\.gguf"):
        pull("hf:acme/tiny:tiny_q4.gguf")


def test_a_repository_without_a_model_says_so(serve):
    serve(Hub({"README.md": b"x", "pytorch_model.bin": b"p"}))
    with pytest.raises(HubError, match="no model that can be read"):
        pull("hf:acme/tiny")


QUANTS = (
    "tiny-Q4_K_M.gguf",
    "tiny-Q4_K_S.gguf",
    "big/tiny-Q8_0-00001-of-00002.gguf",
    "big/tiny-Q8_0-00002-of-00002.gguf",
)


def test_a_quantisation_is_found_by_its_name(serve):
    files = {name: name.encode() for name in (*QUANTS, "mmproj-tiny-Q4_K_M.gguf")}
    serve(Hub(files))
    assert pull("hf:acme/tiny:q4_k_m").read_bytes() == b"tiny-Q4_K_M.gguf"
    assert pull("hf:acme/tiny#tiny-Q4_K_S.gguf").read_bytes() == b"tiny-Q4_K_S.gguf"
    for text, message in (
        ("hf:acme/tiny:Q4_K", "Q4_K_S"),
        ("hf:acme/tiny", "several models"),
        ("hf:acme/tiny:Q2_K", "Q2_K"),
    ):
        with pytest.raises(HubError, match=message) as caught:
            pull(text)
        assert "tiny-Q4_K_M.gguf" in (caught.value.do or "")
        assert "00002-of-00002" not in (caught.value.do or "")


def test_a_piece_of_a_file_is_not_fetched(serve):
    serve(Hub({f"tiny.gguf.part{number}of2": b"x" for number in (1, 2)}))
    with pytest.raises(HubError, match="no model by itself") as caught:
        pull("hf:acme/tiny#tiny.gguf.part1of2")
    assert "cat PIECES > tiny.gguf" in (caught.value.do or "")
    assert not cached()


def test_a_model_in_parts_comes_whole_or_not_at_all(serve):
    hub = serve(Hub({name: name.encode() for name in QUANTS}))
    first = pull("hf:acme/tiny:Q8_0")
    assert first.name == "tiny-Q8_0-00001-of-00002.gguf"
    assert first.with_name("tiny-Q8_0-00002-of-00002.gguf").is_file()
    assert resolve("hf:acme/tiny:Q8_0") == first
    hub_file = first.with_name("tiny-Q8_0-00002-of-00002.gguf").resolve()
    hub_file.write_bytes(b"changed")
    with pytest.raises(HubError, match="not what was pulled") as caught:
        resolve("hf:acme/tiny:Q8_0")
    assert "tiny-Q8_0-00002-of-00002.gguf" in caught.value.where
    assert pull("hf:acme/tiny:Q8_0") == first
    first.with_name("tiny-Q8_0-00002-of-00002.gguf").unlink()
    assert find(parse_reference("hf:acme/tiny:Q8_0")) is None
    hub.commit, hub.files = LATER, dict.fromkeys(QUANTS[:3], b"")
    with pytest.raises(HubError, match=r"missing: big/tiny-Q8_0-00002-of-00002\.gguf"):
        pull("hf:acme/tiny:Q8_0")


@pytest.mark.parametrize(
    "selection",
    ["#original/model.safetensors", ":original/config.json", "@main#original/consolidated.00.pth", ":original"],
)
def test_the_makers_own_layout_is_not_fetched(serve, selection):
    """openai/gpt-oss-20b has its checkpoint a second time, under the names that OpenAI's own code reads."""
    names = ("config.json", "model.safetensors", "original/config.json", "original/dtypes.json")
    serve(Hub(dict.fromkeys((*names, "original/model.safetensors", "original/consolidated.00.pth"), b"x")))
    with pytest.raises(HubError, match="makers' own layout") as caught:
        pull(f"hf:acme/tiny{selection}")
    at = "@main" if "@" in selection else ""
    assert caught.value.do == f"take the files that stand above it: hf:acme/tiny{at}"
    assert not cached()


def test_of_a_folder_only_what_runs_it_comes(serve):
    index = json.dumps(
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    )
    shards = {f"model-0000{n}-of-00002.safetensors": WEIGHTS[n:] for n in (1, 2)}
    others = dict.fromkeys(
        ("original/consolidated.safetensors", "consolidated.safetensors", "a.pt", "model.gguf", "run.py"), b"x"
    )
    template = {"additional_chat_templates/tool_use.jinja": b"{{ 1 }}"}
    files = {"config.json": b"{}", "model.safetensors.index.json": index.encode(), **shards, **template}
    hub = serve(Hub({**files, **others}))
    path = pull("hf:acme/tiny")
    assert sorted(str(file.relative_to(path)) for file in path.rglob("*.*")) == sorted(files)
    hub.commit = LATER
    del hub.files["model-00002-of-00002.safetensors"]
    with pytest.raises(HubError, match=r"missing: model-00002-of-00002\.safetensors"):
        pull("hf:acme/tiny")


@pytest.mark.parametrize("shard", ["pytorch_model.bin", "../x.safetensors", "/etc/x.safetensors", 3])
def test_an_index_that_names_something_else_is_refused(serve, shard):
    index = json.dumps({"weight_map": {"a": shard}}).encode()
    files = {"config.json": b"{}", "model.safetensors.index.json": index, str(shard): b"x"}
    serve(Hub(files))
    with pytest.raises(HubError):
        pull("hf:acme/tiny")


def test_pickles_are_not_fetched_even_by_name(serve):
    serve(Hub(FOLDER))
    with pytest.raises(HubError, match="pickled"):
        pull("hf:acme/tiny#pytorch_model.bin")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../x-Q4_0.gguf",
            "/tmp/x-Q4_0.gguf",
            "a/../../x-Q4_0.gguf",
            "a\\x-Q4_0.gguf",
            "a/./x-Q4_0.gguf",
            "a//x-Q4_0.gguf",
        ),
        *("x\0-Q4_0.gguf", "x\n-Q4_0.gguf", f"{'x' * 300}-Q4_0.gguf", f"{'x/' * 600}x-Q4_0.gguf", "C:x-Q4_0.gguf"),
        "x\udc80-Q4_0.gguf",
    ],
)
def test_names_that_leave_the_cache_are_refused(serve, tmp_path, name):
    entry = {**listed(Hub({"n": b"x"}), "n"), "path": name}
    serve(Hub({}, answers={f"/api/models/acme/tiny/tree/{COMMIT}": [entry]}))
    with pytest.raises(HubError, match="may not be used"):
        pull("hf:acme/tiny:Q4_0")
    assert not list(tmp_path.rglob("*.gguf"))


def test_names_that_differ_only_in_case_are_refused(serve):
    index = json.dumps({"weight_map": {"a": "M.safetensors", "b": "m.safetensors"}}).encode()
    serve(
        Hub({"config.json": b"{}", "model.safetensors.index.json": index, "M.safetensors": b"a", "m.safetensors": b"b"})
    )
    with pytest.raises(HubError, match="only in case"):
        pull("hf:acme/tiny")
