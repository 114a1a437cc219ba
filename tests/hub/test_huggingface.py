import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from greenlight.errors import HubError
from greenlight.hub import cached, find, parse_reference, pull, remove, resolve, revision
from tests.hub.servers import COMMIT, Hub, hub_server, listed

WEIGHTS = bytes(range(251)) * 400
FOLDER = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle",
    "README.md": b"# hello",
}


@pytest.fixture
def serve(monkeypatch):
    """Starts a pretended hub for as long as the test runs."""
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
    names = ("config.json", "model.safetensors", "tokenizer.json")
    assert record.sha256 == {name: hashlib.sha256(FOLDER[name]).hexdigest() for name in names}
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
        (418, None, "refuses", "again"),
        (500, None, "cannot be reached", "network"),
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


LATER = "f" * 40


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


def test_the_token_file_counts_unless_it_must_not(serve, monkeypatch, tmp_path):
    (tmp_path / "hf_home").mkdir()
    (tmp_path / "hf_home" / "token").write_text("hf_filefile\n")
    hub = serve(Hub(FOLDER))
    pull("hf:acme/tiny")
    assert {token for _, _, token in hub.seen} == {"Bearer hf_filefile"}
    hub.seen.clear()
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    pull("hf:acme/tiny")
    assert {token for _, _, token in hub.seen} == {None}


def test_a_redirect_to_another_host_hears_no_token_and_shows_no_signature(serve, monkeypatch, home):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    cdn = Hub({})
    cdn.answers = {f"/{name}": data for name, data in FOLDER.items()}
    with hub_server(cdn) as address:
        hub = serve(Hub(FOLDER, lfs={"model.safetensors"}, cdn=address))
        path = pull("hf:acme/tiny")
        assert (path / "model.safetensors").read_bytes() == WEIGHTS
        cdn.answers, cdn.status = {}, 403
        hub.files = {**FOLDER, "config.json": b"another"}
        hub.commit = LATER
        with pytest.raises(HubError) as caught:
            pull("hf:acme/tiny")
    assert {token for _, _, token in hub.seen} == {"Bearer hf_secretsecret"}
    assert {token for _, _, token in cdn.seen} == {None}
    assert "s3cret" not in str(caught.value)
    kept = [file for file in home.rglob("*") if file.is_file() and not file.is_relative_to(home / "huggingface")]
    assert kept
    assert not any(b"secretsecret" in file.read_bytes() or b"s3cret" in file.read_bytes() for file in kept)


def test_a_server_that_echoes_the_token_is_not_quoted(serve, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    hub = Hub(
        FOLDER, status=403, error_code="hf_secretsecret", headers={"X-Error-Message": "no: hf_secretsecret \x1b[2J"}
    )
    serve(hub)
    with pytest.raises(HubError, match="refuses") as caught:
        pull("hf:acme/tiny")
    assert "secretsecret" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "secretsecret" not in json.dumps(caught.value.to_json())


def test_a_token_goes_over_no_unencrypted_line_and_a_wrong_one_is_not_shown(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    with pytest.raises(HubError, match="unencrypted"):
        pull("hf:acme/tiny")
    monkeypatch.setenv("HF_TOKEN", "hf_secret\nX-Other: 1")
    with pytest.raises(HubError, match="not one") as caught:
        pull("hf:acme/tiny")
    assert "secret" not in str(caught.value)


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
