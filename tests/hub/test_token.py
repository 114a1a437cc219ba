"""Which token opens a repository, and who hears it? The hub over an encrypted line, and nobody else."""

import json

import pytest

from greenlight.errors import HubError
from greenlight.hub import pull
from tests.hub.servers import FOLDER, LATER, WEIGHTS, Hub, hub_server


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
