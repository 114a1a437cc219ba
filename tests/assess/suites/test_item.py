import json

import pytest

from greenlight.assess.suites.item import Item, Message, sizes
from greenlight.errors import ConfigError

ITEM = Item(
    id="x-1",
    topic="t",
    cluster="c",
    messages=(Message("system", "Be kind."), Message("user", "Grüße?")),
    key={"answer": 1, "n": 2},
    choices=("a", "b"),
    note="Made for this test.",
)


def test_an_item_survives_json():
    assert Item.from_json(json.loads(json.dumps(ITEM.to_json()))) == ITEM


@pytest.mark.parametrize("change", [{"extra": 1}, {"note": None}])
def test_json_of_something_else_is_refused(change):
    data = {name: value for name, value in (ITEM.to_json() | change).items() if value is not None}
    with pytest.raises(ConfigError, match="fields"):
        Item.from_json(data)


def test_the_digest_covers_what_the_model_sees_and_nothing_else():
    data = ITEM.to_json()
    same = Item.from_json(data | {"key": {"answer": 0, "n": 2}, "note": "other", "id": "y"})
    other = Item.from_json(data | {"choices": ["b", "a"]})
    assert same.prompt_sha256 == ITEM.prompt_sha256 != other.prompt_sha256
    assert ITEM.prompt_sha256 == "698e7e8a46ac85390392df9f4d6df09d007d0b10142183d6a60435d9c5f7fb15"


def test_sizes_are_even_with_the_remainder_first():
    assert sizes(None, 10, 4) == [3, 3, 2, 2]
    assert sizes(1, 10, 4) == [1, 0, 0, 0]
    with pytest.raises(ConfigError, match="at least one"):
        sizes(0, 10, 4)
