from __future__ import annotations

from benchmarks.figures import Figure
from benchmarks.report import markdown, table, warnings

FIGURES = [
    Figure(
        name="decode",
        unit="tok/s",
        ours=(200.0, 210.0, 190.0),
        peer=(100.0, 100.0, 100.0),
        peer_name="peer",
        ratio_floor=1.5,
        ratio_goal=2.0,
        known=110.0,
        settings={"peer_threads": 2, "peer_tok/s_by_threads": {1: 60.0, 2: 101.5}, "build": "AVX = 1"},
    ),
    Figure(name="prefill", unit="tok/s", ours=(9.0,), peer=(1.0,), peer_name="peer", ratio_floor=2.5, known=100.0),
    Figure(name="agreement", unit="of 100", ours=(), why_not="no data"),
]
RUN = {
    "date": "2026-11-01T00:00:00+00:00",
    "machine": {
        "processor": "a CPU",
        "cores": 2,
        "memory_mb": 8000,
        "system": "Linux",
        "machine": "x86_64",
        "cpu_features": ["avx2"],
        "ops": "native/avx2/1",
        "threads": 2,
        "python": "3.11",
        "packages": {"numpy": "2.4", "torch": None},
    },
    "model": {"file": "a.gguf", "size_bytes": 98_000_000},
    "others_share_of_cores": {"decode": 0.01, "prefill": None},
    "most_cpu_left_in_pauses": 0.0,
    "seconds": 600.0,
}


def test_the_table_shows_median_ratio_requirement_and_whether_it_was_met():
    header, decode, prefill, agreement = table(FIGURES).splitlines()
    assert header.split() == ["what", "ours", "peer", "ratio", "required"]
    assert "200 tok/s" in decode
    assert "2.00 ×" in decode
    assert "≥ 1.5 × (goal 2 ×)" in decode
    assert decode.endswith("met")
    assert prefill.endswith("void")
    assert agreement.endswith("not run")


def test_results_name_machine_date_and_what_voids_a_figure():
    text = markdown(RUN, {"decode": FIGURES[:1], "rest": FIGURES[1:]})
    for wanted in ("2026-11-01", "a CPU", "native/avx2/1", "numpy 2.4", "AVX = 1", "1: 60, 2: 101.5", ": no data"):
        assert wanted in text
    assert "peer ran at 1% of its figure on a quiet machine (100 tok/s)" in text
    assert "torch None" not in text


def test_a_disturbed_or_short_run_says_that_it_is_not_to_be_quoted():
    assert warnings(RUN, FIGURES[:1]) == []
    busy = {**RUN, "others_share_of_cores": {"decode": 0.01, "prefill": 0.4}, "most_cpu_left_in_pauses": 0.5}
    said = " ".join(warnings(busy, FIGURES))
    assert "40%" in said
    assert "prefill" in said
    assert "fewer than 3 rounds" in said
    assert "50% of a core" in said
    assert "Not to be quoted" in markdown(busy, {"all": FIGURES})


def test_what_was_measured_apart_stays_when_results_are_written_anew():
    assert markdown(RUN, {"all": FIGURES}, "## Apart\n").endswith("\n\n## Apart\n")


def test_values_near_zero_keep_two_digits():
    shown = table([Figure(name="divergence", unit="nats", ours=(0.00000031,), at_most=0.0005)])
    assert "3.1e-07 nats" in shown
    assert "≤ 0.0005 nats" in shown


def test_what_is_counted_needs_no_rounds():
    beside = {"name": "same token", "unit": "%", "ours": (99.0,), "peer": (98.0,), "peer_name": "peer"}
    run = {**RUN, "others_share_of_cores": {}}
    assert warnings(run, [Figure(**beside, counted=True)]) == []
    assert warnings(run, [Figure(**beside)]) == ["1 comparisons rest on fewer than 3 rounds."]
