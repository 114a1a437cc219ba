"""RESULTS.md: a section for each machine, in which every row names its run."""

from dataclasses import replace

from benchmarks.page import markdown

from tests.benchmarks.builders import RUN

NEWER = replace(RUN.only(["prefill"]), id="2026-11-02", date="2026-11-02", dirty=True)
BETTER = {**RUN.machine, "processor": "of the peers' figures", "cpu_features": ["avx2", "avx512vnni"]}
BETTER |= {"ops": "native/avx512vnni/1"}
FIRST = replace(RUN, id="2026-11-03", date="2026-11-03", machine=BETTER, commit=None)


def rows(text, columns, title):
    """The cells of all tables whose header begins so."""
    found, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        inside = bool(cells) and (inside or (cells[0] == title and len(cells) == columns))
        if inside and cells[0] not in (title, "---"):
            found.append(cells)
    return found


def test_results_name_machine_date_commit_and_what_voids_a_figure():
    text = markdown([RUN])
    for wanted in ("2026-11-01", "c0ffeec0ff |", "a CPU", "native/avx2/1", "numpy 2.4", "AVX = 1", "1: 60, 2: 101.5"):
        assert wanted in text
    assert ": no data" in text
    assert "peer ran at 1% of its figure on a quiet machine (100 tok/s)" in text
    assert "torch None" not in text


def test_machines_have_a_section_each_and_that_of_the_peers_figures_stands_first():
    text = markdown([RUN, NEWER, FIRST])
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## of the peers' figures, avx512vnni",
        "## a CPU, avx2",
    ]
    first, second = text.split("\n## ")[1:]
    assert first.count("| decode | 200 tok/s") == second.count("| decode | 200 tok/s") == 1


def test_every_row_names_a_run_that_is_listed_in_its_section():
    for section in markdown([RUN.only(["decode"]), NEWER, FIRST]).split("\n## ")[1:]:
        listed = {row[0] for row in rows(section, 5, "run")}
        named = [row[5] for row in rows(section, 8, "what")]
        assert len(named) == 3
        assert set(named) == listed


def test_facts_in_which_runs_differ_name_their_runs():
    newer = replace(NEWER, machine={**RUN.machine, "packages": {"numpy": "2.5"}})
    text = markdown([RUN.only(["decode"]), newer])
    assert "Python 3.11, numpy 2.4 (run 1); Python 3.11, numpy 2.5 (run 2)" in text
    assert "| ours | native/avx2/1, 2 threads |" in text
    assert "c0ffeec0ff and changes" in text


def test_what_people_wrote_comes_last_and_as_it_is():
    assert markdown([RUN], ["## Between\n\nwords\n", "## Apart\n"]).endswith("\n\n## Between\n\nwords\n\n## Apart\n")
