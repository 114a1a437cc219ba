import json
from html.parser import HTMLParser

import numpy as np
import pytest

from greenlight.cli.lens import page_of, text_of
from greenlight.compose import lens
from greenlight.compose.lens import MAX_TOKENS
from greenlight.model.decoder import Decoder
from greenlight.model.load import load_decoder
from greenlight.ops import native
from tests.builders import all_logits

TEXT = "hello you and you"
HOSTILE = "</td><script>alert(1)</script>\x1b[2J\u202e\"'&"


@pytest.fixture
def reading(run, chat_model):
    return json.loads(run("inspect", chat_model, "--text", TEXT, "--json")[1])


def test_a_tokens_probability_is_the_models(reading, chat_model):
    ids = [token["id"] for token in reading["tokens"]]
    logits = all_logits(load_decoder(chat_model), ids).astype(np.float64)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = [chances[i, id] for i, id in enumerate(ids[1:])]
    assert reading["tokens"][0]["probability"] is None
    assert [token["probability"] for token in reading["tokens"][1:]] == pytest.approx(expected, rel=1e-5)
    assert [guess["id"] for guess in reading["next"]] == np.argsort(-chances[-1], kind="stable")[:5].tolist()


def test_the_last_layer_says_what_is_likeliest_at_the_next_place(reading):
    said = [guesses[-1]["id"] for guesses in reading["lens"]]
    assert said == [token["alternatives"][0]["id"] for token in reading["tokens"][1:]] + [reading["next"][0]["id"]]


def test_a_text_read_in_chunks_reads_the_same(run, chat_model, monkeypatch, reading):
    monkeypatch.setattr(lens, "_CHUNK_LOGITS", 1)
    again = json.loads(run("inspect", chat_model, "--text", TEXT, "--json")[1])
    assert [token["probability"] for token in again["tokens"][1:]] == pytest.approx(
        [token["probability"] for token in reading["tokens"][1:]], rel=1e-5
    )
    assert len(again["lens"]) == len(reading["lens"])


@pytest.mark.skipif(not native.available(), reason="no native kernels")
def test_a_text_can_be_read_exactly(run, chat_model, tmp_path):
    run("convert", chat_model, tmp_path / "q8.gguf", "--to", "q8_0", "--no-report")
    said = [
        json.loads(run("inspect", tmp_path / "q8.gguf", "--text", TEXT, "--precision", precision, "--json")[1])
        for precision in ("standard", "exact")
    ]
    assert said[1]["ops"] == said[0]["ops"] + "+exact"
    assert said[1]["tokens"] != said[0]["tokens"]
    facts = json.loads(run("inspect", chat_model, "--precision", "exact", "--json")[1])
    assert facts["computed"]["ops"].endswith("+exact")


@pytest.mark.parametrize(("text", "said"), [("", "no tokens"), ("a" * 9 * MAX_TOKENS, "too long")])
def test_a_text_that_cannot_be_shown_is_refused(run, chat_model, text, said):
    code, _, err = run("inspect", chat_model, "--text", text)
    assert code == 2
    assert said in err


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_give_no_numbers_are_no_reading(run, chat_model, monkeypatch, value):
    plain = Decoder.lens
    monkeypatch.setattr(Decoder, "lens", lambda *args: (logits + np.float32(value) for logits in plain(*args)))
    code, out, err = run("inspect", chat_model, "--text", TEXT)
    assert code == 1
    assert out == ""
    assert "not finite" in err


def test_a_picture_without_a_text_is_refused(run, chat_model, tmp_path):
    assert run("inspect", chat_model, "--html", tmp_path / "page.html")[0] == 2


def test_the_picture_is_written_beside_the_table(run, chat_model, tmp_path):
    code, out, _ = run("inspect", chat_model, "--text", TEXT, "--html", tmp_path / "page.html")
    assert code == 0
    assert "likeliest here" in out
    assert "Layer by layer" in (tmp_path / "page.html").read_text()


def test_a_picture_that_cannot_be_written_is_one_error(run, chat_model, tmp_path):
    code, _, err = run("inspect", chat_model, "--text", "hi", "--html", tmp_path / "absent" / "page.html")
    assert code == 2
    assert "cannot be written" in err


def test_hostile_tokens_stay_text():
    guess = {"id": 1, "text": HOSTILE, "probability": 0.001}
    token = {**guess, "rank": 7, "alternatives": [guess]}
    first = {**token, "probability": None, "rank": None, "alternatives": []}
    reading = {
        "reference": HOSTILE, "tokens": [first, token], "next": [guess], "lens": [[guess], [guess]],
        "n_layers": 1, "bits_per_token": 9.97,
    }  # fmt: skip
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(tag)
    page = page_of(reading)
    parser.feed(page)
    assert "script" not in found
    assert found.count("td") == 3 * 3 + 2
    for shown in (page, text_of(reading).partition("\n")[2]):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert shown.count("!") >= 1


def test_a_token_of_spaces_and_a_chance_of_almost_nothing_are_seen():
    guess = {"id": 1, "text": "  ", "probability": 0.00001}
    token = {**guess, "rank": 7, "alternatives": [guess]}
    reading = {
        "reference": "m", "tokens": [token], "next": [guess], "lens": [[guess]], "n_layers": 1, "bits_per_token": None,
    }  # fmt: skip
    assert "␣␣ 0%</td>" in page_of(reading)
    assert "&lt;0.01% !" in page_of(reading)
    assert "<0.01%" in text_of(reading)
