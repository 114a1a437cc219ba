import hashlib
import json

import pytest

from greenlight.assess.data import read_table
from greenlight.cli import main
from greenlight.errors import HubError, UsageError
from greenlight.hub.datasets import BASE, datasets, pull_data
from tests.hub.servers import Quiet, serving

ROW = json.dumps({"query": "It rained, therefore", "choices": ["wet", "dry"], "gold": 0}).encode() + b"\n"


@pytest.fixture
def repository(monkeypatch):
    """A server of repositories' files: path to bytes, and what was asked for."""
    bodies, asked = {}, []

    class Handler(Quiet):
        def do_GET(self) -> None:  # noqa: N802
            asked.append(self.path)
            body = bodies.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

    with serving(Handler) as url:
        monkeypatch.setenv("GREENLIGHT_DATA_BASE", url)
        monkeypatch.delenv("GREENLIGHT_DATA", raising=False)
        for dataset in datasets().values():
            for file in dataset.files:
                bodies[f"/{file.repository}/{file.commit}/{file.source.replace(' ', '%20')}"] = ROW
        yield bodies, asked


def test_every_source_is_pinned_and_lies_under_its_sets_name():
    for name, dataset in datasets().items():
        assert dataset.licence
        for file in dataset.files:
            assert file.path.startswith(f"{name}/")
            assert len(file.commit) == 40
            assert file.repository.count("/") == 1
            assert ".." not in file.path + file.source
    assert BASE.startswith("https://")


def test_a_set_is_fetched_by_commit_and_read_by_its_adapter(repository, home):
    _, asked = repository
    pulled = pull_data("data:copa")
    [file] = datasets()["copa"].files
    assert asked == [f"/{file.repository}/{file.commit}/{file.source}"]
    assert pulled.folder == home / "data"
    assert pulled.sha256 == {file.path: hashlib.sha256(ROW).hexdigest()}
    assert pulled.licence == "BSD-2-Clause"
    assert len(read_table("copa/copa.jsonl").rows) == 1
    pull_data("copa")
    assert len(asked) == 1, "what is there as it was recorded is not fetched again"


def test_other_bytes_than_the_first_pulls_are_refused_wherever_they_come_from(repository, home):
    bodies, _ = repository
    pulled = pull_data("copa")
    path = home / "data" / "copa" / "copa.jsonl"
    path.write_bytes(ROW + ROW)
    with pytest.raises(HubError, match="not the one that was pulled"):
        pull_data("copa")
    path.unlink()
    for name in bodies:
        bodies[name] = ROW + ROW
    with pytest.raises(HubError, match="wrong digest"):
        pull_data("copa")
    assert not path.exists()
    for name in bodies:
        bodies[name] = ROW
    assert pull_data("copa") == pulled


def test_a_name_with_spaces_is_asked_for_as_addresses_are_written(repository):
    _, asked = repository
    pull_data("simple_safety_tests")
    assert "%20" in asked[0]


def test_ones_own_copy_is_left_where_it_is(repository, monkeypatch, tmp_path):
    _, asked = repository
    (tmp_path / "own" / "copa").mkdir(parents=True)
    (tmp_path / "own" / "copa" / "copa.jsonl").write_bytes(ROW)
    monkeypatch.setenv("GREENLIGHT_DATA", str(tmp_path / "own"))
    pulled = pull_data("copa")
    assert (pulled.own, pulled.folder, asked) == (True, tmp_path / "own", [])


def test_an_unknown_set_and_a_plain_address_are_refused(repository, monkeypatch):
    with pytest.raises(UsageError, match="no data set") as caught:
        pull_data("data:copla")
    assert "copa" in str(caught.value)
    monkeypatch.setenv("GREENLIGHT_DATA_BASE", "http://example.org")
    with pytest.raises(UsageError, match="https"):
        pull_data("copa")


def test_a_file_that_is_not_there_says_so(repository):
    bodies, _ = repository
    bodies.clear()
    with pytest.raises(HubError, match="refuses"):
        pull_data("copa")


def test_the_command_shows_licence_and_digest(repository, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["greenlight", "pull", "data:copa"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    shown = capsys.readouterr().out
    assert "BSD-2-Clause" in shown
    assert hashlib.sha256(ROW).hexdigest()[:12] in shown
