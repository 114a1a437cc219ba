"""An endpoint is asked many things at once, waited for, held to what it said it was, and given up in plain words."""

import gzip
import json
import threading

import pytest

from greenlight.assess.suites import Message
from greenlight.engine import SamplingParams
from greenlight.engine.answering import ChatRequest, ChoiceRequest
from greenlight.engine.remote import Patience, RemoteModel
from greenlight.engine.remote.client import retry_after
from greenlight.engine.remote.neutral import OFF, STANDARD, own_defaults
from greenlight.errors import ConfigError, EngineError, UnsupportedError, UsageError
from tests.endpoints import Endpoint, Raw, serving

QUICK = Patience(attempts=3, backoff_s=0.01, connect_s=2, answer_s=5, wait_s=1, max_bytes=20_000)


def echo(body):
    return body["messages"][-1]["content"] if "messages" in body else body["prompt"]


def reach(url, model=None, patience=QUICK):
    return RemoteModel.reach(url, model, patience=patience)


def request(name, text="hello", role="user", **sampling):
    return ChatRequest(id=name, turns=(Message(role, text),), sampling=SamplingParams(**sampling))


def gather(answerer, requests):
    waiting, found = list(requests), {}
    while waiting or answerer.in_flight:
        while waiting and len(answerer.in_flight) < answerer.capacity:
            answerer.ask(waiting.pop())
        found |= {reply.id: reply for reply in answerer.poll()}
    return found


def test_many_questions_get_their_own_answers_and_no_more_are_asked_at_once_than_allowed():
    most, now, guard = [0], [0], threading.Lock()

    def slow(body):
        with guard:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.01)
        with guard:
            now[0] -= 1
        return echo(body)

    with serving(Endpoint(slow)) as url:
        answerer = reach(url).answerer(at_once=4)
        found = gather(answerer, [request(str(n), f"text {n}") for n in range(24)])
    assert {name: reply.text for name, reply in found.items()} == {str(n): f"text {n}" for n in range(24)}
    assert 1 < most[0] <= 4
    assert found["3"].n_prompt == 7


def test_settings_are_passed_and_those_that_are_off_are_said_to_be_off():
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        answerer = reach(url).answerer()
        gather(answerer, [request("a", temperature=0.5, top_k=40, seed=2**40 + 5, max_tokens=9, stop=("\n", "b"))])
    asked = endpoint.asked[-1]
    assert asked == {
        "model": "scripted",
        "max_tokens": 9,
        "temperature": 0.5,
        **OFF,
        "top_k": 40,
        "seed": 5,
        "stop": ["\n", "b"],
        "stream": False,
        "messages": [{"role": "user", "content": "hello"}],
    }


class Strict(Endpoint):
    """Refuses settings that it does not know, as hosted APIs do."""

    def __init__(self, known, names=True):
        super().__init__(echo)
        self.known, self.names = known, names

    def refusal(self, body):
        unknown = sorted((set(body) & set(OFF)) - self.known)
        if not unknown:
            return None
        text = f"Unrecognized request arguments supplied: {', '.join(unknown)}" if self.names else "Invalid request"
        return Raw(400, json.dumps({"error": {"message": text}}).encode())


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("known", [set(OFF), set(STANDARD), {*STANDARD, "top_k", "repetition_penalty"}, set()])
def test_a_server_that_refuses_names_is_asked_without_them_and_keeps_all_that_it_can_be_told(known, names):
    endpoint = Strict(known, names)
    with serving(endpoint) as url:
        model = reach(url)
        assert gather(model.answerer(), [request("a")])["a"].text == "hello"
    # Who does not say what it refuses is told no more than what every server knows.
    assert set(model.off) == (known if names or known == set(OFF) else known & STANDARD)
    assert {name: value for name, value in endpoint.asked[-1].items() if name in OFF} == model.off
    assert ("repetition_penalty" in own_defaults(model.off)) == ("repetition_penalty" not in model.off)


def test_a_server_that_refuses_everything_says_so_in_its_own_words():
    refusals = [Raw(422, b'{"detail": "no temperature of 0"}')] * 9
    with serving(Endpoint(echo, faults=refusals)) as url, pytest.raises(EngineError, match="refuses") as caught:
        reach(url)
    assert "no temperature of 0" in caught.value.found


def test_a_plain_text_is_continued_without_a_template():
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        found = gather(reach(url).answerer(), [request("a", "Once upon", role="text")])
    assert found["a"].text == "Once upon"
    assert endpoint.asked[-1]["prompt"] == "Once upon"


def test_an_answer_ends_before_a_stop_string_whether_the_endpoint_minds_it_or_not():
    with serving(Endpoint(lambda _body: "one\ntwo")) as url:
        found = gather(reach(url).answerer(), [request("a", stop=("\n",))])
    assert (found["a"].text, found["a"].finish) == ("one", "stop_string")


def test_what_an_endpoint_cannot_be_asked_exactly_is_refused():
    with serving(Endpoint(echo)) as url:
        answerer = reach(url).answerer()
        with pytest.raises(UnsupportedError):
            answerer.ask(request("a", repetition_penalty=1.1))
        with pytest.raises(UnsupportedError):
            answerer.weigh(ChoiceRequest(id="b", turns=(Message("user", "x"),), choices=("y",)))
        assert answerer.in_flight == frozenset()


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_failure_that_may_pass_is_tried_again(status):
    endpoint = Endpoint(echo, faults=[])
    with serving(endpoint) as url:
        model = reach(url)
        endpoint.faults = [Raw(status, b"busy"), Raw(hang_up=True)]
        assert gather(model.answerer(), [request("a")])["a"].text == "hello"
    assert len(endpoint.asked) == 4


def test_a_rate_limit_is_waited_for_and_is_no_failure():
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        model = reach(url)
        endpoint.faults = [Raw(429, b"slow down", {"Retry-After": "0.01"})] * 6
        found = gather(model.answerer(at_once=2), [request("a", "one"), request("b", "two")])
    assert {reply.text for reply in found.values()} == {"one", "two"}


def test_a_rate_limit_without_end_is_given_up():
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        model = reach(url)
        endpoint.faults = [Raw(429, b'{"error": "quota"}', {"Retry-After": "3600"})]
        with pytest.raises(EngineError) as error:
            gather(model.answerer(), [request("a")])
    assert "3600 s" in str(error.value)
    assert "quota" in str(error.value)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Raw(400, b'{"error": {"message": "unknown field top_k"}}'), "unknown field top_k"),
        (Raw(401, b"no"), "GREENLIGHT_API_KEY_127_0_0_1"),
        (Raw(404, b"no"), "ends in /v1"),
        (Raw(307, b"", {"Location": "http://elsewhere/"}), "elsewhere"),
        (Raw(200, b"<html>hello</html>"), "<html>"),
        (Raw(200, b"data: x\n", {"Content-Type": "text/event-stream"}, endless=True), "no end"),
        (Raw(200, gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"}), "gzip"),
        (Raw(200, b" " * 30_000), "20,000 bytes"),
    ],
)
def test_what_cannot_be_repaired_by_asking_again_is_said_at_once(fault, what):
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        model = reach(url)
        endpoint.faults = [fault]
        with pytest.raises(EngineError) as error:
            gather(model.answerer(), [request("a")])
    assert what in str(error.value)
    assert error.value.do
    assert len(endpoint.asked) == 2


def test_an_endpoint_that_says_nothing_is_given_up():
    release = threading.Event()
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        model = reach(url, patience=Patience(attempts=3, backoff_s=0.01, answer_s=0.1))
        endpoint.faults = [Raw(silent=release)] * 3
        with pytest.raises(EngineError, match="does not answer"):
            gather(model.answerer(), [request("a")])
        release.set()


def test_an_endpoint_that_drips_for_ever_is_given_up():
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        model = reach(url, patience=Patience(attempts=2, backoff_s=0.01, answer_s=0.2, max_bytes=10**12))
        endpoint.faults = [Raw(200, b" ", endless=True)] * 2
        with pytest.raises(EngineError, match="does not answer"):
            gather(model.answerer(), [request("a")])


def test_nobody_there_is_said_at_once_with_the_address_and_what_to_look_at():
    with serving(Endpoint(echo)) as url:
        pass
    told = []
    with pytest.raises(EngineError, match="nobody answers") as error:
        RemoteModel.reach(url, None, patience=Patience(backoff_s=1e6), waiting=told.append)
    assert url in str(error.value)
    assert "start the server" in error.value.do
    assert told == [f"asking {url}/models which models there are"]
    with pytest.raises(EngineError) as error:
        reach(url.removesuffix("/v1"))
    assert f"it often ends in /v1: {url}" in error.value.do


def test_an_address_without_its_path_is_told_what_it_lacks():
    with serving(Endpoint(echo)) as url:
        with pytest.raises(UsageError) as error:
            reach(url.removesuffix("/v1"))
        assert f"{url}#MODEL" in error.value.do


def test_who_was_there_once_is_waited_for_and_the_waiting_is_told():
    told = []
    with serving(Endpoint(echo)) as url:
        model = RemoteModel.reach(url, None, patience=QUICK, waiting=told.append)
    with pytest.raises(EngineError, match="does not answer") as error:
        gather(model.answerer(), [request("a")])
    assert "goes on where this one stopped" in error.value.do
    assert "one word" in told[1]
    assert "asked 1 of 3 times" in told[2]
    assert len(told) == 3  # of many threads that wait, one word in a while


def test_what_ended_before_a_failure_is_returned_before_it():
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        answerer = reach(url).answerer(at_once=1)
        answerer.ask(request("good"))
        found = []
        while not found:
            found = answerer.poll()
        endpoint.faults = [Raw(400, b"bad")]
        with pytest.raises(EngineError, match="refuses"):
            gather(answerer, [request("bad")])
        assert answerer.in_flight == frozenset()
        assert gather(answerer, [request("later")])["later"].text == "hello"


def test_a_cancelled_question_is_forgotten():
    release = threading.Event()
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        answerer = reach(url).answerer(at_once=1)
        endpoint.faults = [Raw(silent=release)]
        answerer.ask(request("a"))
        answerer.cancel("a")
        assert answerer.in_flight == frozenset()
        release.set()
        assert set(gather(answerer, [request("b")])) == {"b"}


def test_the_key_is_sent_and_never_shown(monkeypatch):
    monkeypatch.setenv("GREENLIGHT_API_KEY", "hush-hush")
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        model = reach(url)
        assert "hush" not in repr((model.digest, model.entry, model.url))
        endpoint.faults = [Raw(400, b"your key is hush-hush")]
        with pytest.raises(EngineError) as error:
            gather(model.answerer(), [request("a")])
    assert "hush" not in str(error.value)
    assert endpoint.keys == {"Bearer hush-hush"}


def test_an_answer_of_another_model_than_the_one_that_was_found_is_refused():
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        model = reach(url)
        assert model.still_listed()
        endpoint.answers_as = "cheaper"
        with pytest.raises(EngineError, match="as another model"):
            gather(model.answerer(), [request("a")])
        endpoint.listed = [{"id": "scripted", "owned_by": "somebody else"}]
        assert not model.still_listed()


def test_what_it_is_follows_from_what_it_says_and_not_from_when_it_is_asked():
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        first, second = reach(url), reach(url, "scripted")
        assert first.digest == second.digest
        endpoint.answers_as = "scripted-2"
        assert reach(url).digest != first.digest


def test_one_of_several_models_has_to_be_named():
    endpoint = Endpoint(echo, listed=[{"id": "a"}, {"id": "scripted"}])
    with serving(endpoint) as url:
        with pytest.raises(UsageError) as error:
            reach(url)
        assert "a, scripted" in str(error.value)
        with pytest.raises(UsageError):
            reach(url, "b")
        assert reach(url, "scripted").name == "scripted"


def test_a_change_of_the_system_behind_it_is_noted():
    endpoint = Endpoint(echo)
    with serving(endpoint) as url:
        model = reach(url)
        endpoint.fingerprint = "fp_2"
        gather(model.answerer(), [request("a")])
        assert model.fingerprints == ("fp_1", "fp_2")


@pytest.mark.parametrize("text", ["0", "many", "1e9"])
def test_an_impossible_number_at_once_is_refused(text, monkeypatch):
    monkeypatch.setenv("GREENLIGHT_ENDPOINT_AT_ONCE", text)
    with serving(Endpoint(echo)) as url, pytest.raises(ConfigError):
        reach(url)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("2", 2.0),
        ("0", 0.1),
        ("-5", 0.1),
        ("nan", None),
        ("1e99", 1e6),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.1),
    ],
)
def test_how_long_to_wait_is_read_from_numbers_and_dates(text, expected):
    assert retry_after(text) == expected
