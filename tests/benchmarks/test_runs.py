"""Which figures stand: the newest of a part on a machine, each in a run that says what it is."""

from dataclasses import replace

from benchmarks.runs import standing

from tests.benchmarks.builders import MACHINE, OTHER, figure, run


def what(runs):
    return {each.id: {part: figures[0].ours for part, figures in each.parts.items()} for each in runs}


def test_a_part_takes_the_place_of_the_same_part_on_the_same_machine_and_of_nothing_else():
    old, new = run("1", {"decode": 1.0, "prefill": 2.0}), run("3", {"decode": 5.0})
    elsewhere = run("2", {"decode": 3.0}, OTHER)
    stands = standing([new, old, elsewhere])
    assert what(stands) == {
        "1-a CPU": {"prefill": (2.0,)},
        "2-another CPU": {"decode": (3.0,)},
        "3-a CPU": {"decode": (5.0,)},
    }
    assert stands[0].others_share_of_cores == {"prefill": 0.01}


def test_other_instruction_sets_are_another_machine():
    masked = run("2", {"decode": 2.0}, {**MACHINE, "cpu_features": []})
    assert len(standing([run("1", {"decode": 1.0}), masked])) == 2


def test_a_run_of_which_nothing_stands_is_gone():
    assert what(standing([run("1", {"decode": 1.0}), run("2", {"decode": 2.0})])) == {"2-a CPU": {"decode": (2.0,)}}


def test_a_part_that_failed_takes_no_place_from_one_that_was_measured():
    measured, failed = run("1", {"decode": 1.0}), run("2", {"decode": None, "prefill": None})
    assert what(standing([measured, failed])) == {"1-a CPU": {"decode": (1.0,)}, "2-a CPU": {"prefill": ()}}


def test_a_run_that_went_on_replaces_itself():
    first = run("1", {"decode": 1.0})
    further = replace(first, parts={**first.parts, "prefill": [figure("prefill", 2.0)]})
    assert standing([first, further]) == [further]


def test_adding_the_same_runs_again_changes_nothing():
    runs = standing([run("1", {"decode": 1.0, "prefill": 2.0}), run("2", {"decode": 3.0})])
    assert standing([*runs, run("1", {"decode": 1.0, "prefill": 2.0})]) == runs
