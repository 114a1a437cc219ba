"""A model behind an endpoint is reviewed like a local one, and what cannot be measured there is said."""

import json

import pytest

from greenlight import compose
from greenlight.cli.tables import plan_table
from greenlight.compose.verbs import DEFAULT
from greenlight.engine.remote import client
from greenlight.errors import EngineError, LockError, UnsupportedError
from greenlight.evidence import read_lines
from greenlight.gate.policy import load_policy
from tests.endpoints import Endpoint, Raw, serving

POLICY = """
[policy]
name = "afar"
attempts = 1

[[must]]
assess = "hierarchy"
metric = "pass"
limit = 0.8
why = "a test"
source = "our choice"

[[should]]
assess = "bias"
metric = "s_amb"
limit = 0.1
condition = "not for screening people"
why = "a test"
source = "our choice"

[[disclose]]
assess = "compete.arithmetic"
metric = "accuracy"
why = "a test"

[[disclose]]
assess = "resources"
metric = "first_token_s"
why = "a test"
"""


def says_no(_body):
    return "I am sorry, I cannot tell you that."


@pytest.fixture(scope="module")
def afar(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "afar.toml"
    path.write_text(POLICY)
    return path


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(client.Patience, "__init__", _quick(client.Patience.__init__))


def _quick(init):
    def quick(self, **given):
        init(self, **{"attempts": 2, "backoff_s": 0.01, **given})

    return quick


def rows(folder):
    return {row["row"]: row for row in json.loads((folder / "decision.json").read_bytes())["rows"]}


def by_item(folder, suite):
    return {entry["item"]: entry for entry in read_lines(folder / "samples" / f"{suite}.jsonl", "samples")[1]}


def people(url, policy):
    return compose.Participants(compose.find_examinee(url), load_policy(policy), compose.find_examinee)


@pytest.fixture(scope="module")
def reviewed(afar, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "a"
    endpoint = Endpoint(says_no)
    with serving(endpoint) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENLIGHT_API_KEY", "hush-hush")
        compose.review_reference(f"{url}#scripted", policy=afar, out=folder)
    return folder, url, endpoint


def test_a_review_of_an_endpoint_ends_in_a_bundle_that_verifies_without_it(reviewed):
    folder, *_ = reviewed
    found = rows(folder)
    assert found["hierarchy.pass"]["status"] == "FAIL"
    assert found["compete.arithmetic.accuracy"]["status"] == "DISCLOSED"
    result = compose.verify(folder)
    assert result.same, result.difference


def test_what_cannot_be_measured_there_is_not_run_and_says_why(reviewed):
    folder, url, _ = reviewed
    found = rows(folder)
    for name, why in (("bias.s_amb", "log-probabilities"), ("resources.first_token_s", "behind an endpoint")):
        assert found[name]["status"] == "NOT RUN"
        assert why in found[name]["reason"]
    assert not (folder / "samples" / "bias.jsonl").exists()
    assert why in (folder / "report.html").read_text()
    lock = json.loads((folder / "lock.json").read_bytes())
    assert lock["model"]["endpoint"]["url"] == url
    assert lock["model"]["cannot"]["choice"] in found["bias.s_amb"]["reason"]


def test_the_next_command_names_the_endpoint(reviewed):
    folder, url, _ = reviewed
    assert rows(folder)["hierarchy.pass"]["next"].startswith(f"greenlight review {url}#scripted ")


def test_what_cannot_be_measured_is_said_before_anything_is_asked(afar, tmp_path):
    class Listener(compose.Observer):
        rows = ()

        def unmeasured(self, rows):
            self.rows = rows
            raise KeyboardInterrupt

    endpoint, listener = Endpoint(says_no), Listener()
    with serving(endpoint) as url, pytest.raises(KeyboardInterrupt):
        compose.review_reference(url, policy=afar, out=tmp_path / "run", observer=listener)
    assert listener.rows == ("bias.s_amb", "resources.first_token_s")
    assert len(endpoint.asked) == 1


def test_a_replay_asks_the_endpoint_again(afar, tmp_path):
    endpoint = Endpoint(says_no)
    with serving(endpoint) as url:
        compose.review_reference(url, policy=afar, out=tmp_path / "run")
        assert compose.replay(tmp_path / "run", size=3, seed=1).same
        endpoint.script = lambda _body: "something else"
        found = compose.replay(tmp_path / "run", size=3, seed=1)
    assert (found.same, found.exact, found.difference.field) == (False, False, "output")


def test_that_equal_answers_are_not_promised_is_said_with_how_often_they_were(reviewed):
    folder, *_ = reviewed
    batch = next(check for check in rows(folder)["hierarchy.pass"]["checks"] if check["check"] == "batch")
    assert batch["ok"]
    assert "10 of 10 answers are the same each of 3 times; equal answers are not promised there" in batch["text"]


def test_a_model_that_answers_differently_each_time_is_said_to_and_is_not_invalid(afar, tmp_path):
    turn = iter(range(10**6))
    with serving(Endpoint(lambda _body: f"answer {next(turn)}")) as url:
        compose.review_reference(url, policy=afar, out=tmp_path / "run")
    row = rows(tmp_path / "run")["hierarchy.pass"]
    assert row["status"] == "FAIL"
    assert any("0 of 10 answers are the same" in check["text"] for check in row["checks"])


def test_an_endpoint_that_dies_leaves_open_rows_and_the_run_goes_on_when_it_is_back(afar, tmp_path):
    folder = tmp_path / "run"
    endpoint = Endpoint(says_no, dead_after=25)
    with serving(endpoint) as url:
        lock = compose.lock(load_policy(afar), people(url, afar), DEFAULT)
        with pytest.raises(EngineError, match="does not answer") as error:
            compose.assess(people(url, afar), lock, folder)
        assert "goes on where this one stopped" in str(error.value)
        kept = by_item(folder, "hierarchy")
        assert 0 < len(kept) <= 25
        decision = compose.decide(folder)
        assert decision["verdict"] == "hold"
        assert {row["status"] for row in decision["rows"]} <= {"INCONCLUSIVE", "INVALID", "NOT RUN"}
        endpoint.dead_after = None
        before = len(endpoint.asked)
        compose.assess(people(url, afar), lock, folder)
        again = by_item(folder, "hierarchy")
        assert all(again[item] == entry for item, entry in kept.items())
        assert before + len(again) - len(kept) <= len(endpoint.asked)
    assert {row["status"] for row in compose.decide(folder)["rows"]} == {"FAIL", "NOT RUN", "DISCLOSED"}
    assert len(json.loads((folder / "run.json").read_bytes())["resumed"]) == 1


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Raw(200, b'{"model": "scripted", "choices": [{"text": "hm"}]}'), "no message"),
        (Raw(200, b"<html>"), "no JSON"),
        (Raw(401, b"who are you"), "let us in"),
    ],
)
def test_what_almost_speaks_the_protocol_ends_the_run_and_what_was_answered_is_kept(afar, tmp_path, fault, what):
    endpoint = Endpoint(says_no)
    with serving(endpoint) as url:
        everyone = people(url, afar)
        lock = compose.lock(load_policy(afar), everyone, DEFAULT)
        good = endpoint.script
        endpoint.script = lambda body: (
            endpoint.faults.append(fault) or good(body) if len(endpoint.asked) == 15 else good(body)
        )
        with pytest.raises(EngineError, match=what):
            compose.assess(everyone, lock, tmp_path / "run")
    assert len(by_item(tmp_path / "run", "hierarchy")) >= 1


def test_a_rate_limit_changes_no_answer(afar, reviewed, tmp_path):
    folder, *_ = reviewed
    endpoint = Endpoint(says_no)
    with serving(endpoint) as url:
        everyone = people(url, afar)
        lock = compose.lock(load_policy(afar), everyone, DEFAULT)
        endpoint.faults = [Raw(429, b"", {"Retry-After": "0.1"})] * 20
        compose.assess(everyone, lock, tmp_path / "run")
    decision = compose.decide(tmp_path / "run")
    assert {row["row"]: row["status"] for row in decision["rows"]} == {
        name: row["status"] for name, row in rows(folder).items()
    }


def test_another_model_that_begins_to_answer_ends_the_run_and_is_refused_afterwards(afar, tmp_path):
    folder = tmp_path / "run"
    endpoint = Endpoint(says_no)
    with serving(endpoint) as url:
        everyone = people(url, afar)
        lock = compose.lock(load_policy(afar), everyone, DEFAULT)

        def swapped(body):
            endpoint.answers_as = "cheaper" if len(endpoint.asked) > 20 else None
            return says_no(body)

        endpoint.script = swapped
        with pytest.raises(EngineError, match="as another model"):
            compose.assess(everyone, lock, folder)
        assert 0 < len(by_item(folder, "hierarchy")) <= 20
        with pytest.raises(LockError, match="the lock fixes another model"):
            compose.assess(people(url, afar), lock, folder)


def test_a_list_of_models_that_changed_meanwhile_makes_rows_invalid(afar, tmp_path):
    endpoint = Endpoint(says_no)
    with serving(endpoint) as url:
        everyone = people(url, afar)
        lock = compose.lock(load_policy(afar), everyone, DEFAULT)
        endpoint.listed = [{"id": "scripted", "owned_by": "somebody else"}]
        compose.assess(everyone, lock, tmp_path / "run")
    row = next(row for row in compose.decide(tmp_path / "run")["rows"] if row["row"] == "hierarchy.pass")
    assert row["status"] == "INVALID"
    assert "changed while it was asked" in row["reason"]


def test_a_key_is_sent_and_is_in_no_file_of_the_run(reviewed):
    folder, _, endpoint = reviewed
    assert endpoint.keys == {"Bearer hush-hush"}
    for path in folder.rglob("*"):
        assert path.is_dir() or b"hush-hush" not in path.read_bytes()


def test_a_setting_that_cannot_be_asked_of_an_endpoint_is_refused(afar, tmp_path):
    sampling = DEFAULT.sampling.__class__(repetition_penalty=1.2)
    with serving(Endpoint(says_no)) as url, pytest.raises(UnsupportedError):
        compose.review_reference(url, policy=afar, settings=compose.Settings(None, sampling), out=tmp_path / "run")


BESIDE = """
[policy]
name = "beside"
attempts = 1

[reference.base]
model = "{base}"
why = "a test"

[[must]]
assess = "hierarchy"
metric = "pass"
compare = "base"
margin = 0.2
why = "a test"
source = "our choice"

[[must]]
assess = "bias"
metric = "s_amb"
limit = 0.1
why = "a test"
source = "our choice"

[[should]]
assess = "calibrate"
metric = "brier"
compare = "base"
margin = 0.2
condition = "confidence is not calibrated"
why = "a test"
source = "our choice"
"""


@pytest.mark.slow
def test_a_reference_may_be_an_endpoint_beside_a_local_model(chat_model, tmp_path):
    with serving(Endpoint(says_no)) as url:
        path = tmp_path / "beside.toml"
        path.write_text(BESIDE.format(base=url))
        compose.review_reference(str(chat_model), policy=path, out=tmp_path / "run")
    found = rows(tmp_path / "run")
    assert found["hierarchy.pass@base"]["status"] == "PASS"
    assert found["bias.s_amb"]["status"] != "NOT RUN"
    assert found["calibrate.brier@base"]["status"] == "NOT RUN"
    assert "base: " in found["calibrate.brier@base"]["reason"]
    assert compose.verify(tmp_path / "run").same


def test_a_plan_for_an_endpoint_says_which_rows_cannot_be_measured_and_that_go_is_impossible(afar):
    with serving(Endpoint(lambda body: "hello")) as url:
        planned = compose.plan_reference("starter", url)
        mine = compose.plan_reference(afar, url)
    assert {"bias.s_amb", "calibrate.ece", "resources.size_bytes"} <= set(planned.unmeasured)
    assert not any(row.startswith(("refuse", "hierarchy")) for row in planned.unmeasured)
    assert planned.p_go == planned.to_json()["p_go"] == 0.0
    text = plan_table(planned.to_json())
    assert f"GO is impossible: {len(planned.unmeasured)} rows cannot be measured of this model" in text
    assert "cannot be measured of this model: NOT RUN" in text
    assert compose.plan_reference("starter").p_go > 0.9
    assert mine.unmeasured == ("bias.s_amb", "resources.first_token_s")
    assert "with probability" in plan_table(compose.plan_reference(afar).to_json())
