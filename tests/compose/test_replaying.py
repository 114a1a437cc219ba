"""Items of a run asked again: the same bytes on each set of operations, and what is refused."""

import json
import shutil

import pytest

from greenlight import compose
from greenlight.compose import replaying
from greenlight.errors import EvidenceError, HubError, LockError, UsageError
from greenlight.evidence import canonical
from greenlight.ops import native
from tests.chat_model import tiny_chat_model

OPS = ["numpy", pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason="no native kernels"))]


@pytest.fixture(scope="module", params=OPS)
def run(request, chat_model, policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "run"
    # Two suites, one that writes and one that chooses: the reference operations are slow.
    path = folder.parent / "short.toml"
    path.write_text(policy.read_text().partition("[[disclose]]")[0])
    compose.assess_reference(str(chat_model), policy=path, out=folder, ops=request.param, minutes=0.3)
    return folder


def test_random_items_come_out_with_the_same_bytes(run, chat_model):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    found = compose.replay(run, size=25, seed=3, model=str(chat_model))
    assert found.same, found.difference
    assert found.exact == (found.ops.startswith("native"))
    assert sum(found.asked.values()) == 25
    assert len(found.asked) > 1
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_another_instruction_set_gives_the_same_bytes(run, chat_model, monkeypatch):
    monkeypatch.setenv("GREENLIGHT_ISA", "portable")
    assert compose.replay(run, size=5, seed=3, model=str(chat_model)).same


def test_a_changed_answer_is_named_with_what_the_model_says(run, chat_model, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    path = copy / "samples" / "bias.jsonl"
    lines = [json.loads(raw) for raw in path.read_bytes().splitlines()]
    before = lines[7]["choice_logprobs"]
    lines[7]["choice_logprobs"] = [[-0.5], *before[1:]]
    path.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))
    found = compose.replay(copy, size=10**6, model=str(chat_model))
    assert found.difference[:4] == ("samples/bias.jsonl", 8, lines[7]["item"], "choice_logprobs")
    assert found.difference.expected == lines[7]["choice_logprobs"]
    assert found.difference.found[0] == pytest.approx(before[0], abs=1e-3)


def test_a_seed_draws_the_same_items_and_none_draws_others(run, chat_model):
    def drawn(seed):
        found = compose.replay(run, size=3, seed=seed, model=str(chat_model))
        return found.seed, dict(found.asked)

    assert drawn(5) == drawn(5)
    assert drawn(None)[0] != drawn(None)[0]


def test_another_model_or_other_operations_are_refused(run, chat_model, tmp_path):
    other = tiny_chat_model(tmp_path / "tiny.gguf", seed=4)
    with pytest.raises(LockError, match="the lock fixes another model") as error:
        compose.replay(run, size=2, model=str(other))
    assert "digest" in error.value.where
    if native.available():
        fixed = json.loads((run / "lock.json").read_bytes())["settings"]["ops"].partition("/")[0]
        with pytest.raises(LockError) as error:
            compose.replay(run, size=2, model=str(chat_model), ops="numpy" if fixed == "native" else "native")
        assert "operations" in error.value.where


def test_a_model_that_is_not_here_an_empty_run_and_an_empty_slice_are_told(run, chat_model, policy, tmp_path):
    with pytest.raises(HubError):
        compose.replay(run, size=2)
    with pytest.raises(UsageError):
        compose.replay(run, size=0, model=str(chat_model))
    empty = compose.assess_reference(str(chat_model), policy=policy, minutes=1e-6, out=tmp_path / "run")
    with pytest.raises(EvidenceError, match="no answers"):
        compose.replay(empty, size=2, model=str(chat_model))


@pytest.mark.parametrize(("stored", "again"), [(None, [[-0.1]]), ([[-0.1]], None)])
def test_probabilities_that_one_side_lacks_are_a_difference_and_no_traceback(stored, again):
    sample, other = ({"item": "q", "choice_logprobs": said} for said in (stored, again))
    found = replaying._difference(replaying._Stored("calibrate", 2, sample), other, exact=False)
    assert found is not None
    assert (found.field, found.expected, found.found) == ("choice_logprobs", stored, again)


@pytest.mark.parametrize(("again", "same"), [(0.5004, True), (0.51, False), (None, False)])
def test_confidence_may_differ_in_the_last_digits_where_bits_depend_on_the_batch(again, same):
    stored, other = ({"item": "q", "confidence": sure} for sure in (0.5, again))
    found = replaying._difference(replaying._Stored("hallucinate", 2, stored), other, exact=False)
    assert (found is None) == same
    assert replaying._difference(replaying._Stored("hallucinate", 2, stored), other, exact=True) is not None


def test_an_answer_without_probabilities_both_times_is_the_same():
    sample = {"item": "q", "choice_logprobs": None}
    assert replaying._difference(replaying._Stored("refuse", 2, sample), dict(sample), exact=False) is None
