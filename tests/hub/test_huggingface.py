import hashlib

import pytest

from greenlight.errors import HubError
from greenlight.hub import cached, find, parse_reference, pull, remove, resolve
from tests.hub.servers import COMMIT, Hub, hub_server

WEIGHTS = bytes(range(251)) * 400
FOLDER = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle",
    "README.md": b"# hello",
}


@pytest.fixture(autouse=True)
def no_xet(monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")


@pytest.fixture
def serve(monkeypatch):
    """Starts a pretended hub for as long as the test runs."""
    import contextlib

    with contextlib.ExitStack() as stack:

        def start(hub: Hub) -> Hub:
            monkeypatch.setenv("HF_ENDPOINT", stack.enter_context(hub_server(hub)))
            return hub

        yield start


def test_a_folder_is_pinned_to_its_commit_and_brings_no_pickle(serve, home):
    hub = serve(Hub(FOLDER, lfs={"model.safetensors"}))
    reports = []
    path = pull("hf:acme/tiny@v1", progress=lambda done, total: reports.append((done, total)))
    assert sorted(file.name for file in path.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (path / "model.safetensors").read_bytes() == WEIGHTS
    total = sum(len(FOLDER[name]) for name in ("config.json", "model.safetensors", "tokenizer.json"))
    assert reports[-1] == (total, total)
    [record] = cached()
    assert (record.revision, record.size_bytes) == (COMMIT, total)
    assert record.sha256 == {"model.safetensors": hashlib.sha256(WEIGHTS).hexdigest()}
    assert resolve("hf:acme/tiny@v1") == path
    assert path.is_relative_to(home)
    assert not any("pytorch_model.bin" in asked for _, asked, _ in hub.seen)


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


def test_wrong_bytes_are_removed(serve):
    serve(Hub({"tiny.gguf": WEIGHTS}, lfs={"tiny.gguf"}, broken={"tiny.gguf"}))
    with pytest.raises(HubError, match="wrong digest"):
        pull("hf:acme/tiny")
    assert cached() == []
    assert find(parse_reference("hf:acme/tiny")) is None


def test_an_unknown_revision_is_named(serve):
    serve(Hub(FOLDER))
    with pytest.raises(HubError, match="no such revision"):
        pull("hf:acme/tiny@v9")


@pytest.mark.parametrize(
    ("status", "code", "message", "advice"),
    [
        (403, "GatedRepo", "gated", "HF_TOKEN"),
        (404, "RepoNotFound", "no such repository", "HF_TOKEN"),
        (401, None, "refuses", "HF_TOKEN"),
        (500, None, "refuses", "again"),
    ],
)
def test_refusals_say_what_to_do(serve, status, code, message, advice):
    serve(Hub(FOLDER, status=status, error_code=code))
    with pytest.raises(HubError, match=message) as caught:
        pull("hf:acme/tiny")
    assert advice in (caught.value.do or "")


def test_the_token_comes_from_the_environment_and_never_shows(serve, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    hub = serve(Hub(FOLDER, status=403, error_code="GatedRepo"))
    with pytest.raises(HubError) as caught:
        pull("hf:acme/tiny")
    assert hub.seen[0][2] == "Bearer hf_secretsecret"
    assert "secret" not in str(caught.value)


def test_without_a_token_in_the_environment_none_is_sent(serve):
    hub = serve(Hub(FOLDER))
    pull("hf:acme/tiny")
    assert {token for _, _, token in hub.seen} == {None}


def test_no_network_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="cannot be reached"):
        pull("hf:acme/tiny")


def test_offline_uses_what_is_there_and_asks_nobody(serve, monkeypatch):
    hub = serve(Hub(FOLDER))
    path = pull("hf:acme/tiny")
    asked = len(hub.seen)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve("hf:acme/tiny") == path
    assert pull("hf:acme/tiny") == path
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        pull("hf:acme/tiny@v1")
    assert len(hub.seen) == asked


def test_a_repository_is_removed(serve, home):
    serve(Hub(FOLDER))
    path = pull("hf:acme/tiny")
    assert remove(parse_reference("hf:acme/tiny")) == sum(
        len(FOLDER[n]) for n in ("config.json", "model.safetensors", "tokenizer.json")
    )
    assert not path.exists()
    assert cached() == []


def test_removing_one_file_leaves_what_other_references_pulled(serve, home):
    same = WEIGHTS[::-1]
    serve(Hub({"a.gguf": WEIGHTS, "b.gguf": same, "c.gguf": same}, lfs={"a.gguf", "b.gguf", "c.gguf"}))
    paths = {name: pull(f"hf:acme/tiny:{name}.gguf") for name in "abc"}
    assert remove(parse_reference("hf:acme/tiny:a.gguf")) == len(WEIGHTS)
    assert not paths["a"].exists()
    assert [found.reference for found in cached()] == ["hf:acme/tiny:b.gguf", "hf:acme/tiny:c.gguf"]
    # b and c are the same bytes, kept once: they go with the last that needs them.
    assert remove(parse_reference("hf:acme/tiny:b.gguf")) == 0
    assert resolve("hf:acme/tiny:c.gguf").read_bytes() == same
    assert remove(parse_reference("hf:acme/tiny:c.gguf")) == len(same)
    assert not list((home / "huggingface").glob("models--*"))


def test_two_names_of_one_commit_share_their_files_until_the_last_is_removed(serve):
    serve(Hub(FOLDER))
    path = pull("hf:acme/tiny")
    assert pull("hf:acme/tiny@v1") == path
    assert remove(parse_reference("hf:acme/tiny")) == 0
    assert resolve("hf:acme/tiny@v1") == path
    assert (path / "model.safetensors").read_bytes() == WEIGHTS
    remove(parse_reference("hf:acme/tiny@v1"))
    assert not path.exists()
