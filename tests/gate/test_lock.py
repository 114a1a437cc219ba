import json

import pytest

from greenlight.errors import LockError
from greenlight.evidence import write_json
from greenlight.gate.lock import draw_seed, lock_id, make_lock, policy_of, read_lock
from greenlight.gate.policy import load_policy
from tests.gate.planted import FIXED

POLICY = load_policy("starter")
SUITES = [{"suite": "refuse", "version": 1, "n": 3, "grader": "g", "answer_tokens": 4, "items_sha256": "x"}]


def make(kind="rehearsal", nonce=None, **changes):
    fixed = {**FIXED, **changes}
    return make_lock(POLICY, suites=SUITES, kind=kind, nonce=nonce, calibrations={"refusal": "c"}, **fixed)


def test_a_rehearsal_repeats_exactly_and_an_exam_does_not():
    assert make()["id"] == make()["id"]
    assert make("exam", "aa")["seed"] != make("exam", "bb")["seed"] != make()["seed"]


def test_the_seed_of_the_draw_is_the_seed_of_the_lock():
    lock = make()
    seed = draw_seed(POLICY, suites=[("refuse", 1)], nonce=None, **FIXED)
    assert int(lock["seed"], 16) == seed < 2**256


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {**FIXED["model"], "digest": "e" * 64}},
        {"template_sha256": "u"},
        {"settings": {"system": "Be kind."}},
    ],
)
def test_everything_that_is_released_moves_the_seed(changes):
    assert make(**changes)["seed"] != make()["seed"]


def test_the_day_that_prompts_state_is_part_of_the_identity_and_is_not_said_where_there_is_none():
    dated = make(template_date="2026-01-01")
    assert dated["template"] == {"sha256": FIXED["template_sha256"], "date": "2026-01-01"}
    assert dated["id"] != make()["id"]
    assert "date" not in make()["template"]


def test_what_a_file_is_called_does_not_move_the_seed():
    assert make(model={**FIXED["model"], "name": "other"})["seed"] == make()["seed"]


@pytest.mark.parametrize(("kind", "nonce"), [("exam", None), ("rehearsal", "aa"), ("exploratory", "aa")])
def test_only_an_exam_has_a_nonce(kind, nonce):
    with pytest.raises(LockError, match="nonce"):
        make(kind, nonce)


def test_a_lock_is_read_back_with_its_policy(tmp_path):
    lock = make("exam", "aa")
    write_json(tmp_path / "lock.json", lock)
    assert read_lock(tmp_path / "lock.json") == lock
    assert policy_of(lock) == POLICY


def relocked(change):
    """A lock that was edited and given a fitting id."""
    lock = json.loads(json.dumps(make()))
    change(lock)
    return {**lock, "id": lock_id(lock)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lock: lock.update(seed="0" * 64), "seed"),
        (lambda lock: lock["policy"].update(toml=lock["policy"]["toml"].replace("0.05", "0.5")), "policy.sha256"),
        (lambda lock: lock["settings"].update(system="x"), "seed"),
        (lambda lock: lock.update(kind="exam"), "kind"),
        (lambda lock: lock.update(extra=1), "extra"),
        (lambda lock: lock.pop("suites"), "suites"),
        (lambda lock: lock.update(model=None), "shape"),
    ],
)
def test_a_lock_that_was_edited_is_refused_even_with_a_new_id(tmp_path, change, message):
    write_json(tmp_path / "lock.json", relocked(change))
    with pytest.raises(LockError) as error:
        read_lock(tmp_path / "lock.json")
    assert message in str(error.value)


def test_a_lock_whose_id_does_not_fit_is_refused(tmp_path):
    write_json(tmp_path / "lock.json", {**make(), "attempt": 2})
    with pytest.raises(LockError, match="does not agree with itself"):
        read_lock(tmp_path / "lock.json")
