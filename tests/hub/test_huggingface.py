"""How does a model come from the hub, and go again? Pinned to its commit, with its own bytes, or with a reason."""

import errno
import hashlib
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from greenlight.errors import HubError
from greenlight.hub import cached, find, parse_reference, pull, remove, resolve, revision
from tests.hub.servers import COMMIT, FOLDER, LATER, WEIGHTS, Hub, listed


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
    names = ("config.json", "model.safetensors", "tokenizer.json")
    assert record.sha256 == {name: hashlib.sha256(FOLDER[name]).hexdigest() for name in names}
    assert resolve("hf:acme/tiny@v1") == path
    assert path.is_relative_to(home)
    assert not any("pytorch_model.bin" in asked for _, asked, _ in hub.seen)


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
        (418, None, "refuses", "again"),
        (500, None, "cannot be reached", "network"),
    ],
)
def test_refusals_say_what_to_do(serve, status, code, message, advice):
    serve(Hub(FOLDER, status=status, error_code=code))
    with pytest.raises(HubError, match=message) as caught:
        pull("hf:acme/tiny")
    assert advice in (caught.value.do or "")


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


def test_a_moved_branch_is_said_and_the_old_commit_stays(serve, monkeypatch):
    hub = serve(Hub(FOLDER))
    told = []
    pull("hf:acme/tiny", notice=told.append)
    assert told == []
    hub.commit, hub.files = LATER, {**FOLDER, "config.json": b'{"model_type": "gemma"}'}
    path = pull("hf:acme/tiny", notice=told.append)
    [line] = told
    assert COMMIT in line
    assert LATER in line
    assert path.name == LATER
    assert revision(parse_reference("hf:acme/tiny")) == LATER
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    old = pull(f"hf:acme/tiny@{COMMIT}")
    assert (old / "config.json").read_bytes() == FOLDER["config.json"]


def test_a_commit_that_is_here_asks_nobody_under_whatever_name_it_came(serve):
    hub = serve(Hub(FOLDER))
    path = pull("hf:acme/tiny@main")
    asked = len(hub.seen)
    assert pull(f"hf:acme/tiny@{COMMIT}") == path
    assert len(hub.seen) == asked
    with pytest.raises(HubError, match="another name") as caught:
        remove(parse_reference(f"hf:acme/tiny@{COMMIT}"))
    assert caught.value.do == "greenlight rm hf:acme/tiny@main"


def test_offline_takes_what_is_here_or_says_so(serve):
    hub = serve(Hub(FOLDER))
    with pytest.raises(HubError, match="not on this machine"):
        pull("hf:acme/tiny", offline=True)
    path = pull("hf:acme/tiny")
    asked = len(hub.seen)
    assert pull("hf:acme/tiny", offline=True) == path
    assert len(hub.seen) == asked


def test_a_file_changed_in_the_cache_is_not_the_model(serve):
    serve(Hub(FOLDER))
    path = pull("hf:acme/tiny") / "model.safetensors"
    path.resolve().write_bytes(WEIGHTS[::-1])
    with pytest.raises(HubError, match="not what was pulled"):
        resolve("hf:acme/tiny")
    # Asked for again, it is fetched again.
    assert (pull("hf:acme/tiny") / "model.safetensors").read_bytes() == WEIGHTS


def test_a_broken_download_goes_on_where_it_stopped_in_this_call_and_the_next(serve):
    hub = serve(Hub({"tiny.gguf": WEIGHTS}, lfs={"tiny.gguf"}, cut_after=[1000, 0, 0]))
    with pytest.raises(HubError, match="did not finish"):
        pull("hf:acme/tiny")
    assert find(parse_reference("hf:acme/tiny")) is None
    assert pull("hf:acme/tiny").read_bytes() == WEIGHTS
    assert hub.ranges == [None, "bytes=1000-", "bytes=1000-", "bytes=1000-"]


def test_a_small_file_with_another_git_digest_is_refused_and_not_kept(serve, home):
    serve(Hub(FOLDER, broken={"config.json"}))
    with pytest.raises(HubError, match="wrong digest") as caught:
        pull("hf:acme/tiny")
    assert "git sha1" in (caught.value.found or "")
    assert "config.json" in (caught.value.where or "")
    assert not any(path.read_bytes() == FOLDER["config.json"][::-1] for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "endpoint", ["hub.example", "ftp://hub", "https://user:pass@hub", "https://hub:0", "https://["]
)
def test_a_wrong_endpoint_is_named(monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(HubError, match="address") as caught:
        pull("hf:acme/tiny")
    assert "pass" not in str(caught.value)


def test_rate_limits_are_waited_for_as_long_as_the_server_says(serve, monkeypatch):
    pauses = []
    monkeypatch.setattr("greenlight.hub.client.time.sleep", pauses.append)
    serve(Hub(FOLDER, first=[(429, {"Retry-After": "7"}), (503, {})]))
    pull("hf:acme/tiny")
    assert pauses == [7.0, 0.0]


def test_a_pause_that_nobody_sits_through_is_an_error_at_once(serve, monkeypatch):
    monkeypatch.setattr("greenlight.hub.client.time.sleep", lambda _: pytest.fail("waits"))
    serve(Hub(FOLDER, first=[(429, {"Retry-After": "90000"})]))
    with pytest.raises(HubError, match="asks to wait 90000 s"):
        pull("hf:acme/tiny")


def test_a_listing_comes_in_pages(serve):
    hub = serve(Hub({"sub/": b"", **FOLDER}, page=2))
    assert (pull("hf:acme/tiny") / "model.safetensors").read_bytes() == WEIGHTS
    assert sum("/tree/" in path for _, path, _ in hub.seen) == 3


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("<https://elsewhere.example/x>", "another host"),
        ("<?recursive=true>", "without end"),
        ("<//[>", "another host"),
    ],
)
def test_pages_elsewhere_or_without_end_are_refused(serve, link, message):
    serve(Hub(FOLDER, headers={"Link": f'{link}; rel="next"'}))
    with pytest.raises(HubError, match=message):
        pull("hf:acme/tiny")


@pytest.mark.parametrize("size", [-1, 2**60, True, "5", None, 1.5])
def test_impossible_sizes_are_refused(serve, size):
    entry = {**listed(Hub({"x.gguf": b"x"}), "x.gguf"), "size": size}
    serve(Hub({}, answers={f"/api/models/acme/tiny/tree/{COMMIT}": [entry]}))
    with pytest.raises(HubError, match="makes no sense"):
        pull("hf:acme/tiny")


@pytest.mark.parametrize("size", [len(WEIGHTS) - 1, len(WEIGHTS) + 1])
def test_a_listing_that_lies_about_a_size_is_refused_before_the_body(serve, home, size):
    hub = Hub({"x.gguf": WEIGHTS})
    hub.answers = {f"/api/models/acme/tiny/tree/{COMMIT}": [{**listed(hub, "x.gguf"), "size": size}]}
    serve(hub)
    with pytest.raises(HubError, match="another size"):
        pull("hf:acme/tiny")
    assert not [file for file in home.rglob("*.part") if file.stat().st_size]


def test_a_model_larger_than_the_disk_is_refused_before_it_comes(serve, monkeypatch):
    hub = serve(Hub(FOLDER))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 90, 10))
    with pytest.raises(HubError, match="too little room") as caught:
        pull("hf:acme/tiny")
    assert "GREENLIGHT_HOME" in (caught.value.do or "")
    assert not any("/resolve/" in path for _, path, _ in hub.seen)


def test_a_disk_that_fills_up_is_an_error_with_advice(serve, monkeypatch):
    serve(Hub(FOLDER))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "symlink_to", full)
    with pytest.raises(HubError, match="disk is full"):
        pull("hf:acme/tiny")
    assert cached() == []
