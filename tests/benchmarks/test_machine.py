"""Which code was measured."""

import shutil
import subprocess

import pytest

from benchmarks import machine


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    for name in ("a.py", "benchmarks/results.json", "benchmarks/explained.md"):
        (tmp_path / name).write_text("one")
    return tmp_path


def commit(tree):
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tree), *command], check=True)


def test_figures_and_what_is_written_of_them_leave_the_code_as_committed(tree):
    commit(tree)
    (tree / "benchmarks" / "results.json").write_text("two")
    (tree / "benchmarks" / "explained.md").write_text("two")
    code = machine.code()
    assert len(code["commit"]) == 40
    assert code["dirty"] is False


@pytest.mark.parametrize("name", ["a.py", "benchmarks/new.py"])
def test_changed_and_new_code_is_told(tree, name):
    commit(tree)
    (tree / name).write_text("two")
    assert machine.code()["dirty"] is True


def test_a_tree_without_git_of_its_own_has_no_commit(tree):
    assert machine.code() == {"commit": None, "dirty": None}
