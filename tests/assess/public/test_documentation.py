from pathlib import Path

from greenlight.assess.public import PUBLIC, RUNS_CODE
from greenlight.measure.metrics import metric_of

PAGE = Path(__file__).parents[3] / "docs" / "assessments.md"


def rows():
    cells = [line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return {line[0].strip("`"): line[1:] for line in cells if line[0].strip("`") in PUBLIC}


def test_every_public_set_is_in_the_table_with_its_licence_and_metrics():
    found = rows()
    assert set(found) == set(PUBLIC)
    for name, (licence, metrics, *_) in found.items():
        assert licence == PUBLIC[name].licence
        if metrics != "as above":
            assert all(metric_of(name, metric.partition(" ")[0]) for metric in metrics.split(", "))


def test_what_is_not_supported_is_named():
    assert all(name in PAGE.read_text() for name in RUNS_CODE)
