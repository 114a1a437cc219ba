import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlight.errors import ConfigError
from greenlight.measure.openness import classify, read_release, template
from greenlight.measure.openness.framework import framework

NEEDED = {"III": 6, "II": 10, "I": 14}

CLASS_III = (
    *("Model architecture", "Model parameters (Final)", "Technical report"),
    *("Evaluation results", "Model card", "Data card"),
)
CLASS_II = (*CLASS_III, "Training code", "Inference code", "Evaluation code", "Evaluation data")
CLASS_I = (
    *CLASS_II,
    *("Research paper", "Datasets", "Data preprocessing code", "Model parameters (Intermediate)"),
)


def release_of(*names: str, licence: str = "", head: str = "", **own: str) -> str:
    """A file that releases these components; `own` licences by the first word of a component, lower case."""
    lines = ["release:", "  name: m", head, f"  license: {{distribution: {{name: '{licence}'}}}}", "  components:"]
    for name in names:
        lines += [f"  - name: {name}", f"    license: '{own.get(name.split()[0].lower(), '')}'"]
    return "\n".join(line for line in lines if line)


def openness(*names: str, **more: str):
    return classify(read_release(release_of(*names, **more)))


@pytest.mark.parametrize(
    ("names", "cls", "shares"),
    [
        ((), None, (0, 0, 0)),
        (CLASS_III[:-1], None, (5 / 6, 5 / 10, 5 / 14)),
        (CLASS_III, "III", (1, 6 / 10, 6 / 14)),
        (CLASS_II, "II", (1, 1, 10 / 14)),
        (CLASS_I, "I", (1, 1, 1)),
    ],
)
def test_a_class_is_reached_where_all_that_it_and_the_lower_ones_need_is_there(names, cls, shares):
    found = openness(*names, licence="Apache-2.0")
    assert found.cls == cls
    assert tuple(part.share for part in found.classes) == pytest.approx(shares)
    assert {part.cls: part.needed for part in found.classes} == NEEDED


def test_a_research_paper_stands_in_for_the_technical_report():
    # The Model Openness Tool's own test file "Class2R", of eleven components, comes to class II and 10 of 13 of I.
    names = [name for name in CLASS_II if name != "Technical report"]
    found = openness(*names, "Research paper", "Supporting libraries and tools", licence="CC-BY-4.0")
    assert found.cls == "II"
    assert found.classes[2].share == pytest.approx(10 / 13)


def test_a_closed_licence_or_none_does_not_count_and_is_named():
    for licence in ("llama3.1", "CC-BY-NC-4.0", ""):
        found = openness(*CLASS_III, licence="Apache-2.0", model=licence)
        told = found.classes[0].closed if licence else ()
        assert found.cls == (None if licence else "III")  # an empty one falls back to the distribution's
        assert set(told) == ({name for name in CLASS_III if name.startswith("Model")} if licence else set())
    assert openness(*CLASS_III).cls is None


def test_data_sets_count_under_whatever_terms_and_other_components_do_not():
    assert openness(*CLASS_I, licence="MIT", datasets="proprietary").cls == "I"
    assert openness(*CLASS_I, licence="MIT", research="proprietary").cls == "II"


def test_an_open_licence_of_another_kind_counts_and_is_told_apart():
    found = openness(*CLASS_III, licence="CC-BY-4.0")
    by_name = {part.name: part for part in found.parts}
    assert found.cls == "III"
    assert not by_name["Model architecture"].fits
    assert by_name["Model card"].fits


def test_a_licence_of_the_type_comes_before_that_of_the_distribution():
    text = release_of("Model architecture", "Model card", licence="MIT").replace(
        "{distribution:", "{document: {name: CC0-1.0}, distribution:"
    )
    assert [part.licence for part in read_release(text).released] == ["MIT", "CC0-1.0"]


def test_the_checklist_of_the_open_source_ai_definition_goes_line_by_line():
    code = ("Data preprocessing code", "Training code", "Inference code", "Supporting libraries and tools")
    names = (*code, "Model architecture", "Model parameters (Final)")
    assert not openness(*names, licence="MIT").to_json()["osaid"]["met"]
    found = openness(*names, "Data card", licence="MIT").to_json()["osaid"]
    assert found["met"]
    [data] = [check for check in found["requirements"] if check["requirement"] == "data information"]
    assert (data["by"], "people" in data["note"]) == (["Data card"], True)


def test_more_components_never_make_a_release_less_open():
    for names in itertools.combinations(CLASS_I, 3):
        fewer, more = openness(*names[:2], licence="MIT"), openness(*names, licence="MIT")
        assert all(a.share <= b.share for a, b in zip(fewer.classes, more.classes, strict=True))


def test_the_template_holds_every_component_and_opened_in_full_is_class_one():
    text = template("it's mine")
    assert classify(read_release(text)).cls is None
    assert read_release(text).name == "it's mine"
    opened = re.sub(r"^  # (- name| {2}component_path| {2}license)", r"  \1", text, flags=re.MULTILINE)
    found = classify(read_release(opened.replace("distribution:\n      name: ''", "distribution:\n      name: 'MIT'")))
    assert found.cls == "I"
    assert [part.name for part in found.parts] == [part.name for part in framework().components]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("release: {name: m, componnents: []}", "components"),
        ("release: {name: m, components: [{name: Model crad}]}", "Model card"),
        ("release: {name: m, components: [{name: Model card}, {name: Model card}]}", "twice"),
        ("release: {name: m, components: {name: Model card}}", "no list"),
        ("release: {name: ''}", "needs a name"),
        ("release: {name: m, version: [1]}", "is a text"),
        ("framework: {name: Another}\nrelease: {name: m}", "another framework"),
        ("release: {name: m", "line 1"),
        ("[]", "names and values"),
        ("release: 3", "names and values"),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_place_and_remedy(text, told):
    with pytest.raises(ConfigError) as caught:
        read_release(text, "mine.yml")
    assert told in str(caught.value)
    assert "mine.yml" in str(caught.value)


@given(
    st.recursive(
        st.text(max_size=12),
        lambda part: (
            st.lists(part, max_size=3)
            | st.dictionaries(
                st.sampled_from(["framework", "release", "name", "components", "license", "data", "path"]),
                part,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_file_is_read_or_refused(value):
    try:
        found = classify(read_release(json.dumps(value)))
    except ConfigError:
        return
    assert found.to_json()["class"] in (None, "I", "II", "III")
