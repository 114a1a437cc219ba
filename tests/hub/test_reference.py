from pathlib import Path

import pytest

from greenlight.errors import HubError
from greenlight.hub import (
    AdapterReference,
    CatalogReference,
    EndpointReference,
    HubReference,
    PathReference,
    parse_reference,
)


def test_each_form_is_told_apart():
    assert parse_reference("smollm2") == CatalogReference("smollm2")
    assert parse_reference("./smollm2") == PathReference("./smollm2", Path("smollm2"))
    assert parse_reference("model.gguf") == PathReference("model.gguf", Path("model.gguf"))
    assert parse_reference("~/m/x") == PathReference("~/m/x", Path.home() / "m/x")
    assert parse_reference("hf:a/b") == HubReference("hf:a/b", "a/b", None, None)
    assert parse_reference("hf:a/b@v1:c/d.gguf") == HubReference("hf:a/b@v1:c/d.gguf", "a/b", "v1", "c/d.gguf")
    assert parse_reference("hf:a/b:d.gguf") == HubReference("hf:a/b:d.gguf", "a/b", None, "d.gguf")
    assert parse_reference("hf:a/b:Q4_K_M") == HubReference("hf:a/b:Q4_K_M", "a/b", None, None, "Q4_K_M")
    assert parse_reference("hf:a/b@refs/pr/1#c/d.gguf") == HubReference(
        "hf:a/b@refs/pr/1#c/d.gguf", "a/b", "refs/pr/1", "c/d.gguf"
    )
    assert parse_reference("http://localhost:8000/v1#m") == EndpointReference(
        "http://localhost:8000/v1#m", "http://localhost:8000/v1", "m"
    )
    assert parse_reference("https://h/v1/") == EndpointReference("https://h/v1/", "https://h/v1", None)


def test_an_unknown_name_offers_the_nearest_and_the_list():
    with pytest.raises(HubError) as caught:
        parse_reference("smolm")
    assert "smollm2" in (caught.value.found or "")
    assert "greenlight list" in (caught.value.do or "")


def test_a_local_folder_named_without_a_slash_is_pointed_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mymodel").mkdir()
    with pytest.raises(HubError, match=r"\./mymodel"):
        parse_reference("mymodel")


def test_an_adapter_follows_a_plus():
    found = parse_reference("smollm2+./adapter")
    assert found == AdapterReference(
        "smollm2+./adapter", CatalogReference("smollm2"), (PathReference("./adapter", Path("adapter")),)
    )
    assert parse_reference("hf:a/b:Q8_0+hf:c/d@v1").adapters == (HubReference("hf:c/d@v1", "c/d", "v1", None),)
    several = parse_reference("smollm2+./a+hf:b/c+d.gguf")
    assert several.base == CatalogReference("smollm2")
    assert [adapter.text for adapter in several.adapters] == ["./a", "hf:b/c", "d.gguf"]
    assert parse_reference("m.gguf+adapter").base == PathReference("m.gguf", Path("m.gguf"))


@pytest.mark.parametrize("text", ["smollm2+a+", "smollm2++b", "smollm2+", "unknown+a", "smollm2+hf:a"])
def test_an_adapter_of_nothing_or_of_no_model_is_refused(text):
    with pytest.raises(HubError):
        parse_reference(text)


def test_a_path_with_a_plus_in_it_is_a_path(tmp_path):
    path = tmp_path / "a+b.gguf"
    path.touch()
    assert parse_reference(str(path)) == PathReference(str(path), path)


@pytest.mark.parametrize(
    "text", ["hf:", "hf:a", "hf:a/b/c", "hf:../b", "hf:a/b@", "hf:a/b:../../x", "hf:a b/c", "hf:a/b#", "hf:a/b:", ""]
)
def test_malformed_references_are_refused(text):
    with pytest.raises(HubError):
        parse_reference(text)
