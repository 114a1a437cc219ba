"""The whole gate with all but loopback blocked: by an audit hook, and by the kernel where namespaces may be made."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chat_model import POLICY

HOOK = Path(__file__).parent / "loopback"
NAMESPACE = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def has_namespaces() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def blocked(tmp_path):
    """Run a command line in processes of its own that reach nothing but this machine."""
    prefix = NAMESPACE if has_namespaces() else ()
    reached = tmp_path / "reached"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "GREENLIGHT_TEST_REACHED": str(reached),
    }

    def call(*arguments):
        command = [*prefix, sys.executable, "-m", "greenlight", *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
        assert ended.returncode == 0, ended.stderr
        assert not reached.exists(), reached.read_text()
        return ended.stdout

    return call


@pytest.mark.slow
def test_the_whole_gate_needs_no_network(blocked, chat_model, tmp_path):
    policy = tmp_path / "short.toml"
    policy.write_text(POLICY.split("[[should]]")[0])
    blocked("lock", policy, chat_model, "--out", "exam.lock.json")
    blocked("review", chat_model, "--lock", "exam.lock.json", "--out", "run")
    assert json.loads((tmp_path / "run" / "decision.json").read_text())["kind"] == "exam"
    assert "SAME" in blocked("verify", "run")
    blocked("release", "run", "--out", "out")
    assert (tmp_path / "out" / "README.md").exists()


def test_the_hook_catches_who_leaves(blocked, tmp_path):
    """Without this the tests above could pass for want of a hook."""
    command = [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)"]
    reached = tmp_path / "elsewhere"
    environment = {**os.environ, "PYTHONPATH": str(HOOK), "GREENLIGHT_TEST_REACHED": str(reached)}
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode != 0
    assert "192.0.2.1" in reached.read_text()
