from __future__ import annotations

from dataclasses import replace

from benchmarks.figures import Figure
from benchmarks.report import table, warnings

from tests.benchmarks.builders import FIGURES, RUN


def test_the_table_shows_median_ratio_requirement_and_whether_it_was_met():
    header, decode, prefill, agreement = table(FIGURES).splitlines()
    assert header.split() == ["what", "ours", "peer", "ratio", "required"]
    assert "200 tok/s" in decode
    assert "2.00 ×" in decode
    assert "≥ 1.5 ×" in decode
    assert decode.endswith("met")
    assert prefill.endswith("void")
    assert agreement.endswith("not run")


def test_a_disturbed_or_short_run_says_that_it_is_not_to_be_quoted():
    assert warnings(RUN.only(["decode"])) == []
    shares = {"decode": 0.01, "prefill": 0.4}
    said = " ".join(warnings(replace(RUN, others_share_of_cores=shares, most_cpu_left_in_pauses=0.5, dirty=True)))
    assert "40% during prefill." in said
    assert "1 comparisons rest on fewer than 3 rounds" in said
    assert "50% of a core" in said
    assert "not committed" in said


def test_values_near_zero_keep_two_digits():
    shown = table([Figure(name="divergence", unit="nats", ours=(0.00000031,), at_most=0.0005)])
    assert "3.1e-07 nats" in shown
    assert "≤ 0.0005 nats" in shown


def test_what_is_counted_needs_no_rounds():
    counted = Figure(name="same token", unit="%", ours=(99.0,), peer=(98.0,), peer_name="peer", counted=True)
    timed = replace(counted, counted=False)
    assert warnings(replace(RUN, parts={"all": [counted]})) == []
    assert warnings(replace(RUN, parts={"all": [timed]})) == ["1 comparisons rest on fewer than 3 rounds."]
