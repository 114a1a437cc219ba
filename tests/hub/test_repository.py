import json
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import HubError
from greenlight.hub import client, parse_reference
from greenlight.hub.choose import choose
from greenlight.hub.client import ask_json
from greenlight.hub.repository import Repository
from tests.hub.servers import COMMIT, Quiet, serving

REFERENCE = parse_reference("hf:acme/tiny")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["file", "directory"]) | JSON_VALUES,
        "path": st.sampled_from(["config.json", "model.safetensors", "../x.gguf", "a.gguf"]) | JSON_VALUES,
        "size": st.integers(-1, 2**70) | st.text(max_size=3),
        "oid": st.just("0" * 40) | JSON_VALUES,
        "lfs": st.just({"oid": "0" * 64, "size": 5}) | JSON_VALUES,
    },
)


@settings(max_examples=40, deadline=None)
@given(answer=JSON_VALUES | st.lists(ENTRIES, max_size=4), link=st.text(max_size=30))
def test_whatever_is_listed_ends_in_files_with_safe_names_or_one_error(answer, link):
    answers = iter([(answer, {"Link": f'<{link}>; rel="next"'})])
    repository = Repository(REFERENCE)
    repository._json = lambda url: next(answers, ([], {}))
    try:
        chosen = choose(REFERENCE, repository.files(COMMIT), lambda: json.dumps(answer).encode())
    except HubError:
        return
    assert all(".." not in file.path and 0 <= file.size < 1 << 50 and file.digest for file in chosen)


@settings(max_examples=25, deadline=None)
@given(answer=JSON_VALUES)
def test_whatever_names_the_commit_is_a_commit_or_an_error(answer):
    repository = Repository(REFERENCE)
    repository._json = lambda url: (answer, {})
    with pytest.raises(HubError, match="makes no sense"):
        repository.commit()


def test_an_answer_without_end_or_that_is_no_json_is_refused(monkeypatch):
    monkeypatch.setattr(client, "_MAX_JSON_BYTES", 1000)

    class Answering(Quiet):
        def do_GET(self):  # noqa: N802
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[" * 5000 if self.path == "/long" else b"<html>")

    with serving(Answering) as url:
        for path, message in (("long", "more than"), ("page", "not JSON")):
            with pytest.raises(client.RefusedError, match=message):
                ask_json(f"{url}/{path}", timeout_s=5.0)


def test_a_branch_with_a_slash_is_one_name(monkeypatch):
    asked = []
    repository = Repository(parse_reference("hf:acme/tiny@refs/pr/1"))
    repository._json = lambda url: (asked.append(url), ({"sha": COMMIT}, {}))[1]
    assert repository.commit() == COMMIT
    assert urllib.parse.urlsplit(asked[0]).path == "/api/models/acme/tiny/revision/refs%2Fpr%2F1"


def test_another_commit_than_was_asked_for_is_refused():
    repository = Repository(parse_reference(f"hf:acme/tiny@{'a' * 40}"))
    repository._json = lambda url: ({"sha": COMMIT}, {})
    with pytest.raises(HubError, match="makes no sense"):
        repository.commit()
