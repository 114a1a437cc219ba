"""The script's arithmetic beside Python's: exact bounds, bets, labels and resamples, each in the browser."""

import random
from importlib.resources import files

import numpy as np
import pytest
from scipy.special import betaincinv, stdtrit

from greenlight.measure.statistics.clusters import balance, binary_clustered, bootstrap, by_group
from greenlight.measure.statistics.judged import Draw
from greenlight.measure.statistics.labels import Part, look, stages
from greenlight.measure.statistics.sequence import GroupedSequence, fixed_bounds
from tests.release.browser import browser


@pytest.fixture(scope="module")
def script():
    """Calls a function of the script's parts that compute, on a page of its own."""
    folder = files("greenlight.release.page").joinpath("recompute")
    parts = sorted((part for part in folder.iterdir() if part.name[0] in "012345678"), key=lambda part: part.name)
    text = "\n".join(part.read_text() for part in parts)
    with browser() as started:
        page = started.new_page()
        yield lambda body, cases: page.evaluate(f"(cases) => {{ {text}\nreturn cases.map({body}); }}", cases)


def test_the_parts_of_the_script_are_read_in_their_order():
    names = sorted(part.name for part in files("greenlight.release.page").joinpath("recompute").iterdir())
    assert [name.partition("_")[0] for name in names] == [str(number) for number in range(len(names))]


def test_exact_bounds_are_scipys_to_twelve_digits(script):
    rng = random.Random(3)
    cases = []
    for _ in range(600):
        n = rng.choice([1, 2, 5, 20, 100, 624, 4000])
        hits = min(rng.choice([0, 1, n // 2, n - 1, rng.randint(0, n)]), n - 1)
        cases.append([hits, n + rng.choice([0, rng.random()]), rng.choice([0.05, 0.03, 0.015, 0.005, 1e-4, 0.5])])
    found = script("([hits, n, alpha]) => upperBound(hits, n, alpha)", cases)
    expected = [float(betaincinv(hits + 1, n - hits, 1 - alpha)) for hits, n, alpha in cases]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_quantiles_of_t_are_scipys_to_twelve_digits(script):
    cases = [[df, alpha] for df in (1, 2, 19, 44, 599, 3000) for alpha in (0.05, 0.025, 0.005, 1e-5)]
    found = script("([df, alpha]) => studentQuantile(df, alpha)", cases)
    np.testing.assert_allclose(found, [float(stdtrit(df, 1 - alpha)) for df, alpha in cases], rtol=1e-12)


def test_bets_end_where_pythons_do(script):
    rng = random.Random(5)
    cases, expected = [], []
    for low, high, planned, groups, n in ((0, 1, 80, 80, 33), (0, 1, 120, 30, 120), (-1, 1, 60, 20, 41)):
        values = [rng.choice([low, high, low + (high - low) * rng.random()]) for _ in range(n)]
        clusters = [rng.randrange(groups) for _ in range(n)]
        sequence = GroupedSequence(low, high, n_planned=planned, n_groups=groups)
        for cluster, value in zip(clusters, values, strict=True):
            sequence.add(str(cluster), value)
        cases.append([low, high, planned, groups, values, clusters])
        expected.append(list(sequence.bounds(0.01)))
    found = script(
        "([low, high, planned, groups, values, clusters]) => {"
        " const s = new GroupedSequence(low, high, planned, groups);"
        " values.forEach((value, i) => s.add(clusters[i], value)); return s.bounds(0.01); }",
        cases,
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)
    values = np.array(cases[2][4])
    [once] = script("([low, high,,, values]) => fixedBounds(values, low, high, 0.05)", [cases[2]])
    np.testing.assert_allclose(once, list(fixed_bounds(values, -1, 1, 0.05)), atol=1e-12)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.6])
def test_bounds_of_groups_are_pythons(script, rate):
    rng = random.Random(7)
    groups = [group for group in range(60) for _ in range(4)]
    hits = [int(rng.random() < rate) for _ in groups]
    signs = [rng.choice([-1, 1]) * hit for hit in hits]
    [[binary, leaning]] = script(
        "([groups, hits, signs]) => ["
        "binaryClustered(byGroup(hits, groups), 0.025), balanceBounds(byGroup(signs, groups), 0.05)]",
        [[groups, hits, signs]],
    )
    names = [str(group) for group in groups]
    np.testing.assert_allclose(binary, list(binary_clustered(by_group(hits, names), 0.025)), atol=1e-12)
    np.testing.assert_allclose(leaning, list(balance(by_group(signs, names), 0.05)), atol=1e-12)


def test_resamples_are_the_very_draws_that_python_made(script):
    totals = [float(value) for value in np.linspace(0, 1, 23) ** 2]
    [found] = script(
        "(totals) => bootstrap((counts) => totals.reduce((sum, total, g) => sum + counts[g] * total, 0), 23, 0.05)",
        [totals],
    )
    expected = bootstrap(lambda counts: float(counts @ np.array(totals)), 23, 0.05)
    assert expected is not None
    np.testing.assert_allclose(found, list(expected), rtol=1e-13)


def test_looks_at_labels_are_pythons(script):
    rng = random.Random(11)
    cases, expected = [], []
    for _ in range(40):
        sizes = [rng.choice([0, 3, 40]), rng.choice([60, 200, 600])]
        rate, limit, alpha = rng.choice([0.0, 0.02, 0.5]), rng.choice([0.05, 0.15]), rng.choice([0.05, 0.01])
        bad = [[int(rng.random() < rate) for _ in range(rng.choice([0, size // 2, size]))] for size in sizes]
        parts = [Part(size, [bool(one) for one in labels]) for size, labels in zip(sizes, bad, strict=True)]
        seen = look(parts[0], parts[1], limit, alpha)
        cases.append([sizes, bad, limit, alpha])
        following = None if seen.following is None else list(Draw(*seen.following))
        bounds = None if seen.bounds is None else list(seen.bounds)
        draws = [list(stage.draw) for stage in stages(*sizes, limit, alpha)]
        expected.append([seen.passes, seen.stage, following, draws, bounds, seen.estimate])
    found = script(
        "([sizes, bad, limit, alpha]) => {"
        " const found = lookAt(sizes.map((size, i) => ({ size, bad: bad[i] })), limit, alpha);"
        " const draws = stagesOf(...sizes, limit, alpha).map((one) => one.draw);"
        " return [found.passes, found.stage, found.following, draws, found.bounds, found.estimate]; }",
        cases,
    )
    assert len({case[0] for case in expected}) == 3
    for one, other in zip(found, expected, strict=True):
        assert one[:4] == other[:4]
        if other[4] is not None:
            np.testing.assert_allclose([*one[4], one[5]], [*other[4], other[5]], rtol=1e-12)
