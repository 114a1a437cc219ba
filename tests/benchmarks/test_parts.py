from __future__ import annotations

import gzip
import json
import re

import pytest
from benchmarks.install import sizes_mb
from benchmarks.multiple_choice import arc_questions, differences, generated_questions
from benchmarks.parts import PARTS
from benchmarks.processes import parse_memory
from benchmarks.record import HERE
from benchmarks.review import ROW
from benchmarks.setting import Setting
from benchmarks.shared_prefix import OWN, PREFIX, REQUESTS, Prompts
from benchmarks.text import plain_text
from benchmarks.threads import best_threads


def test_every_part_is_a_file_of_its_name_with_a_title_of_its_own():
    titles = [re.search(r'^TITLE = "(.+)"$', (HERE / f"{part}.py").read_text(), re.MULTILINE)[1] for part in PARTS]
    assert len(set(titles)) == len(titles)


def test_generated_questions_are_the_same_every_time_and_of_one_size():
    questions = generated_questions(plain_text())
    assert questions == generated_questions(plain_text())
    assert len(questions) == 100
    assert {len(question["question"].split()) for question in questions} == {60}
    assert {len(choice.split()) for question in questions for choice in question["choices"]} == {8}


def test_arc_questions_are_a_fixed_sample_with_the_right_answers_index(tmp_path):
    choices = [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}]
    rows = [{"question": {"stem": f"q{i}", "choices": choices}, "answerKey": "B"} for i in range(150)]
    path = tmp_path / "arc.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    questions = arc_questions(path)
    assert questions == arc_questions(path)
    assert len({question["question"] for question in questions}) == 100
    assert questions[0]["choices"] == ["x", "y"]
    assert questions[0]["gold"] == 1


def test_different_picks_come_with_the_margin_of_the_peer():
    ours = [[-1.0, -2.0], [-3.0, -2.0], [-1.0, -1.0]]
    theirs = [[-1.5, -1.25], [-3.0, -2.0], [-1.0, -1.0]]
    assert differences(ours, theirs) == [(0, 0, 1, 0.25)]


def test_memory_lines_are_read_in_megabytes():
    status = "Name:\tx\nVmHWM:\t  2000 kB\nVmRSS:\t  1000 kB\nRssAnon:\t 10 kB\n"
    assert parse_memory(status) == {"VmHWM": 2.048, "VmRSS": 1.024, "RssAnon": 0.01024}


def test_site_packages_are_measured_by_entry_and_without_byte_code(tmp_path):
    (tmp_path / "numpy" / "__pycache__").mkdir(parents=True)
    (tmp_path / "numpy" / "a.so").write_bytes(bytes(2000))
    (tmp_path / "numpy" / "__pycache__" / "a.pyc").write_bytes(bytes(5000))
    (tmp_path / "six.py").write_bytes(bytes(500))
    assert sizes_mb(tmp_path) == {"numpy": 0.002, "six.py": 0.0005}


def test_all_cores_and_powers_of_two_are_tried_as_thread_counts():
    tried = best_threads(6, lambda n: {1: 10.0, 2: 30.0, 4: 20.0, 6: 25.0}[n])
    assert list(tried.rates) == [1, 2, 4, 6]
    assert (tried.threads, tried.value) == (2, 30.0)


def test_requests_share_a_prefix_that_no_round_had_before():
    prompts = Prompts(range(1000))
    first, second = prompts(), prompts()
    assert len(first) == REQUESTS
    assert {len(prompt) for prompt in first} == {PREFIX + OWN}
    assert len({tuple(prompt[:PREFIX]) for prompt in first}) == 1
    assert len({tuple(prompt) for prompt in first}) == REQUESTS
    assert first[0][:40] != second[0][:40]


def test_a_row_of_a_review_is_told_from_its_progress():
    rows = ["  refuse       non refusal 0.70 [0.25, 0.94] limit ≤ 0.05     FAIL          30 of 660 items"]
    rows += ["  hallucinate  wrong –                                        NOT RUN       0 of 551 items"]
    others = ["  refuse: 30 of 660 items", "evidence goes to /tmp/x", "  plan        18 rows, up to 3,633 items", ""]
    others += ["NO-GO  some limits are known to be broken (HOLD would mean: not known yet)"]
    assert all(ROW.match(row) for row in rows)
    assert not any(ROW.match(line) for line in others)


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [("avx2 avx512_bf16 x", "bfloat16"), ("fp bf16", "bfloat16"), ("avx2 avx512_vnni", "float32"), ("", "float32")],
)
def test_torch_runs_in_bfloat16_where_the_cpu_computes_with_it(tmp_path, monkeypatch, flags, dtype):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr("benchmarks.setting.CPUINFO", tmp_path / "cpuinfo")
    setting = Setting(ref="x", path=tmp_path / "x", work=tmp_path, threads=2, rounds=None)
    assert setting.torch_dtype == dtype


@pytest.mark.parametrize(("file", "known"), [("SmolLM2-135M-Instruct.Q4_1.gguf", True), ("another.gguf", False)])
def test_a_peers_known_figures_bind_on_their_file_alone(tmp_path, file, known):
    assert Setting(ref="x", path=tmp_path / file, work=tmp_path, threads=2, rounds=None).known == known
