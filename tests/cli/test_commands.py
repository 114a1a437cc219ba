"""The next command, pasted, is about the model, the policy and the ledger that the user named."""

import json
from pathlib import Path

import pytest

from greenlight.cli.commands import Given, decide_command, next_command, open_references
from greenlight.gate.policy import load_policy

STARTER = {"policy": {"sha256": load_policy("starter").sha256}}
OTHER = {"policy": {"sha256": "0" * 64}}
BOOK = Path("my release.jsonl")


def locked(folder, attempt=None, files=("tiny.gguf",)):
    (folder / "lock.json").write_text(
        json.dumps(
            {
                "format": "greenlight.lock/1",
                "attempt": attempt,
                "model": {"name": "tiny", "files": dict.fromkeys(files, "0")},
            },
            separators=(",", ":"),
            sort_keys=True,
        )
    )
    return folder


@pytest.mark.parametrize(
    ("command", "given", "expected"),
    [
        ('greenlight review m --system "..."', Given(ref="m"), 'greenlight review m --system "..."'),
        (
            'greenlight review m --system "..."',
            Given(
                ref="./my m.gguf",
                policy="team.toml",
                ledger=BOOK,
                release_of="m",
                sampling=("--temperature", "0.7"),
                models=("--reference", "base=smollm2"),
                include_harmful=True,
            ),
            "greenlight review './my m.gguf' --system \"...\" --policy team.toml --temperature 0.7 "
            "--reference base=smollm2 --include-harmful --ledger 'my release.jsonl' --release-of m",
        ),
        ("greenlight plan m", Given(ref="m", policy="team.toml"), "greenlight plan m --policy team.toml"),
        ("greenlight label RUN", Given(ledger=BOOK), "greenlight label 'the run' --ledger 'my release.jsonl'"),
        (
            "greenlight assess m --lock RUN/lock.json --only refuse --out RUN",
            Given(ref="./m.gguf", policy="team.toml", ledger=BOOK, models=("--ops", "numpy")),
            "greenlight assess ./m.gguf --lock 'the run'/lock.json --only refuse --out 'the run' --ops numpy",
        ),
        ("greenlight review ./FILE.gguf", Given(ref="http://x/v1"), "greenlight review ./FILE.gguf"),
        ("greenlight doctor", Given(policy="team.toml", ledger=BOOK), "greenlight doctor"),
    ],
)
def test_a_row_says_the_next_command_as_its_user_would_type_it(command, given, expected):
    assert next_command(command, STARTER, "the run", given) == expected


def test_where_the_user_named_nothing_the_run_does(tmp_path):
    run = locked(tmp_path)
    plan = next_command("greenlight plan tiny", OTHER, run, Given())
    assert plan == f"greenlight plan ./tiny.gguf --policy {run}/policy.toml"
    assert next_command("greenlight plan smollm2", STARTER, run, Given()) == "greenlight plan smollm2"
    shipped = {"policy": {"sha256": load_policy("customised").sha256}}
    assert next_command("greenlight plan smollm2", shipped, run, Given()).endswith("--policy customised")
    address = "http://127.0.0.1:1/v1#m"
    assert next_command(f"greenlight plan {address}", STARTER, run, Given()) == f"greenlight plan '{address}'"


def test_an_attempt_is_decided_with_the_ledger_that_counted_it(tmp_path):
    assert decide_command(locked(tmp_path)) == f"greenlight decide {tmp_path}"
    assert decide_command(locked(tmp_path, attempt=1)) == f"greenlight decide {tmp_path} --ledger LEDGER"
    assert decide_command(tmp_path, BOOK).endswith("--ledger 'my release.jsonl'")


def test_a_reference_that_the_policy_leaves_open_is_asked_for():
    assert open_references(load_policy("base-release")) == ("--reference", "public=REF")
    assert open_references(load_policy("starter")) == ()


def test_plan_names_the_policy_that_was_planned(run, policy):
    assert f"next    greenlight review REF --policy {policy}\n" in run("plan", "--policy", policy)[1]
