import json
import os
import subprocess
import sys

import pytest

import greenlight
from greenlight.ops import native

VERBS = [
    "pull",
    "list",
    "rm",
    "inspect",
    "doctor",
    "chat",
    "convert",
    "plan",
    "lock",
    "assess",
    "label",
    "decide",
    "review",
    "report",
    "verify",
    "contaminate",
    "release",
    "diff",
    "import",
]


def test_help_lists_every_verb(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"  {verb} " in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_ends_in_a_command_to_paste(run, verb):
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert f"greenlight {verb}" in out.strip().splitlines()[-1] or "greenlight" in out.strip().splitlines()[-1]
    assert "--json" in out


def test_version(run):
    assert run("--version")[1] == f"greenlight {greenlight.__version__}\n"


def test_the_package_can_be_run_as_a_module():
    done = subprocess.run([sys.executable, "-m", "greenlight", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["greenlight", greenlight.__version__]


def test_an_unknown_name_offers_the_nearest(run):
    code, out, err = run("inspect", "smolm2")
    assert (code, out) == (1, "")
    assert "smollm2" in err
    assert "Traceback" not in err


def test_an_absent_model_names_the_command_that_fetches_it(run):
    code, _, err = run("chat", "smollm2", "-p", "hello")
    assert code == 1
    assert "greenlight pull smollm2" in err


def test_errors_are_json_for_programs(run):
    code, _, err = run("inspect", "smolm2", "--json")
    assert code == 1
    assert json.loads(err)["error"] == "HubError"


def test_bad_usage_exits_with_2(run):
    assert run("inspect")[0] == 2
    assert run("nonsense")[0] == 2


@pytest.mark.parametrize("damage", ["truncated", "not a model"])
def test_a_corrupt_file_is_named_without_a_traceback(run, chat_model, tmp_path, damage):
    path = tmp_path / "broken.gguf"
    path.write_bytes(chat_model.read_bytes()[:5000] if damage == "truncated" else b"hello" * 100)
    code, _, err = run("inspect", path)
    assert code == 1
    assert "broken.gguf" in err
    assert "Traceback" not in err


def test_inspect_shows_template_and_memory_plan(run, chat_model):
    code, out, _ = run("inspect", chat_model, "--context", 64)
    assert code == 0
    assert "<|im_start|>user" in out
    assert "memory for 1 × 64 positions" in out
    facts = json.loads(run("inspect", chat_model, "--json")[1])
    assert facts["memory"]["total_bytes"] > 0
    assert facts["files"]["tiny.gguf"]


def test_inspect_says_how_each_type_of_weight_is_computed_with(run, chat_model):
    facts = json.loads(run("inspect", chat_model, "--json")[1])
    assert facts["computed"]["types"].keys() == facts["types"].keys()
    assert "exactly" in facts["computed"]["types"]["F32"]
    assert f"({facts['computed']['ops']})" in run("inspect", chat_model)[1]


def test_doctor_says_which_path_runs(run):
    facts = json.loads(run("doctor", "--json")[1])
    assert facts["ops"].split("/")[0] in {"native", "numpy"}
    assert facts["threads"] == (native.threads() if facts["fast"] else None)
    assert facts["fast"] == (facts["why"] is None)


def test_chat_answers_a_piped_prompt(run, chat_model):
    code, out, _ = run("chat", chat_model, "--max-tokens", 5, stdin="hello")
    assert code == 0
    answer = json.loads(run("chat", chat_model, "--max-tokens", 5, "--json", stdin="hello")[1])
    assert out == answer["answer"] + "\n"
    assert answer["finish"] in {"stop", "length"}


def test_a_prompt_longer_than_the_context_is_refused_not_cut(run, chat_model):
    code, _, err = run("chat", chat_model, "-p", "x" * 20_000)
    assert code == 1
    assert "8,192" in err or "8192" in err


def test_impossible_settings_are_refused(run, chat_model):
    code, _, err = run("chat", chat_model, "-p", "hello", "--top-p", 7)
    assert code == 2
    assert "top_p" in err


def test_plan_shows_items_and_the_chance_of_a_perfect_model(run, policy):
    code, out, _ = run("plan", "--policy", policy)
    assert code == 0
    assert "hierarchy.pass" in out
    assert "a perfect model would get GO" in out


@pytest.mark.parametrize(
    ("change", "message"),
    [("limit = 0.8", "limitt = 0.8"), ("limit = 0.8", "limit = 1.0"), ('metric = "pass"', 'metric = "passes"')],
)
def test_a_policy_with_a_mistake_is_refused_by_place(run, policy, tmp_path, change, message):
    path = tmp_path / "p.toml"
    path.write_text(policy.read_text().replace(change, message))
    code, _, err = run("plan", "--policy", path)
    assert code == 1
    assert "p.toml" in err


def test_another_policy_is_shown_beside_the_verdict_never_instead(run, chat_model, policy, tmp_path):
    folder = tmp_path / "run"
    assert run("review", chat_model, "--policy", policy, "--out", folder)[0] == 0
    other = tmp_path / "other.toml"
    other.write_text(policy.read_text().replace("limit = 0.8", "limit = 0.001"))
    code, out, _ = run("decide", folder, "--policy", other)
    assert code == 0
    assert "not the locked policy" in out
    assert "limit 0.001" in out
    code, out, _ = run("verify", folder)
    assert code == 0
    assert out.startswith("SAME")
    assert str(folder) in run("decide", folder)[1]


@pytest.mark.parametrize("arguments", [["--temperature", "-1"], ["--seed", "-1"], ["--system", "@missing"]])
def test_an_impossible_option_is_bad_usage(run, chat_model, arguments):
    assert run("chat", chat_model, "-p", "hello", *arguments)[0] == 2


def test_an_empty_prompt_is_not_answered(run, chat_model):
    assert run("chat", chat_model, stdin="")[0] == 2


def test_a_lock_is_written_once(run, chat_model, policy, tmp_path):
    path = tmp_path / "exam.json"
    assert run("lock", policy, chat_model, "--out", path)[0] == 0
    before = path.read_bytes()
    assert run("lock", policy, chat_model, "--out", path)[0] == 1
    assert path.read_bytes() == before


def test_without_a_compiler_the_package_says_what_runs(tmp_path):
    """Where the native module cannot be loaded, numpy runs and doctor says why."""
    code = (
        "import sys; sys.modules['greenlight.ops._native'] = None\n"
        "sys.argv = ['greenlight', 'doctor', '--json']\n"
        "from greenlight.cli import main; main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}, check=True
    )
    facts = json.loads(result.stdout)
    assert facts["ops"].startswith("numpy/")
    assert "native" in facts["why"]


def test_a_slow_path_is_said_where_it_runs(chat_model):
    code = (
        "import sys; sys.modules['greenlight.ops._native'] = None\n"
        f"sys.argv = ['greenlight', 'chat', {str(chat_model)!r}, '-p', 'hello', '--max-tokens', '2']\n"
        "from greenlight.cli import main; main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "running on numpy" in result.stderr
    assert "running on numpy" not in result.stdout


def test_public_names_are_listed_and_load():
    assert sorted(greenlight.__all__) == sorted({*greenlight._PLACES, "__version__"})
    for name in greenlight.__all__:
        assert getattr(greenlight, name) is not None
    with pytest.raises(AttributeError):
        greenlight.nonsense  # noqa: B018


def test_importing_the_package_loads_no_stage():
    code = "import greenlight, sys; print([name for name in sys.modules if name.startswith(('numpy', 'greenlight.'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_inspect_draws_the_block_and_splits_keys_and_values_by_kind_of_layer(run, chat_model):
    out = run("inspect", chat_model)[1]
    assert "x ─┬─ norm ─ attention ─(+) ─┬─ norm ─ feed-forward ─(+) ─ next" in out
    memory = json.loads(run("inspect", chat_model, "--json")[1])["memory"]
    (kind,) = memory["kv_layers"]
    assert (kind["window"], kind["n_layers"]) == (None, 1)
    assert kind["bytes_per_position"] == memory["kv_bytes_per_position"]
    assert kind["kv_bytes"] == memory["kv_bytes"]
    assert memory["measured"] is None
