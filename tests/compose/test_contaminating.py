import json

import pytest

from greenlight import compose
from greenlight.compose.contaminating import contaminate
from greenlight.errors import EvidenceError
from greenlight.evidence import read_lines
from tests.chat_model import POLICY

ROWS = """
[[disclose]]
assess = "compete.reading"
metric = "accuracy"
why = "a test"

[[disclose]]
assess = "contaminate"
metric = "overlap"
why = "a test"
"""


@pytest.fixture(scope="module")
def decided(chat_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    (folder / "p.toml").write_text(POLICY.partition("[[should]]")[0] + ROWS)
    found = compose.review_reference(str(chat_model), policy=folder / "p.toml", out=folder / "run")
    return folder / "run", found.decision


def test_without_training_text_it_is_unknown(decided):
    _, decision = decided
    row = next(row for row in decision["rows"] if row["assess"] == "contaminate")
    assert (row["status"], row["value"]) == ("DISCLOSED", None)
    assert row["reason"].startswith("unknown")


def test_questions_in_the_text_are_counted_and_scores_read_again_without_them(decided, tmp_path):
    folder, _ = decided
    items = read_lines(folder / "items" / "compete.reading.jsonl", "items")[1]
    samples = read_lines(folder / "samples" / "compete.reading.jsonl", "samples")[1]
    known = {items[sample["index"]]["id"] for sample in samples[:10]}
    text = "\n".join(item["messages"][-1]["content"] for item in items if item["id"] in known)
    (tmp_path / "corpus.txt").write_text(f"Once upon a time.\n{text}\nThe end.")
    record = contaminate(folder, [tmp_path / "corpus.txt"])
    assert record["suites"]["compete.reading"]["seen"] >= len(known)
    assert all(record["items"][name] == 1 for name in known)
    decision = compose.decide(folder)
    compose.report(folder)
    row = next(row for row in decision["rows"] if row["assess"] == "contaminate")
    [reading] = [part for part in row["details"]["clean"] if part["row"] == "compete.reading.accuracy"]
    assert reading["n_clean"] <= reading["n_all"] - len(known)
    assert 0 < row["value"] < 1
    verified = compose.verify(folder)
    assert verified.same, verified.difference
    path = folder / "contamination.json"
    path.write_bytes(path.read_bytes().replace(b'"seen":', b'"sean":', 1))
    assert not compose.verify(folder).same
    contaminate(folder, [tmp_path / "corpus.txt"])
    assert json.loads(path.read_bytes()) == record


def test_a_text_that_is_not_there_is_said(decided, tmp_path):
    with pytest.raises(EvidenceError, match="cannot be read"):
        contaminate(decided[0], [tmp_path / "none.txt"])


def test_another_text_cannot_take_the_place_of_an_earlier_one(decided, tmp_path):
    folder, _ = decided
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(f"Some words of {name}.")
    (folder / "contamination.json").unlink(missing_ok=True)
    contaminate(folder, [tmp_path / "one.txt"])
    with pytest.raises(EvidenceError, match="another text before"):
        contaminate(folder, [tmp_path / "two.txt"])
    contaminate(folder, [tmp_path / "one.txt", tmp_path / "two.txt"])
    with pytest.raises(EvidenceError, match="no training text"):
        contaminate(folder, [])
