import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from greenlight.release.text import excerpt, visible, words


def test_what_acts_unseen_is_shown_by_its_code_point():
    assert visible("a\u202eb\x1b[31m\u200b\ufeff\u2066\x00\u2028\ud800\U000e0041") == (
        "a⟨U+202E⟩b⟨U+001B⟩[31m⟨U+200B⟩⟨U+FEFF⟩⟨U+2066⟩⟨U+0000⟩⟨U+2028⟩⟨U+D800⟩⟨U+E0041⟩"
    )


def test_what_people_write_stays_as_it_is():
    for text in ("Zoë\n\tça va?", "हिन्दी", "עברית", "می‌خواهم", "👩‍👩‍👧", "a\u00a0b", "日本語"):
        assert visible(text) == text


@given(st.text())
def test_no_control_or_direction_character_survives(text):
    shown = visible(text)
    assert not any(unicodedata.category(one) == "Cc" and one not in "\n\t" for one in shown)
    assert not any(
        unicodedata.bidirectional(one) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
        for one in shown
    )
    shown.encode()


def test_an_excerpt_counts_what_it_leaves_out_and_keeps_what_barely_exceeds():
    assert excerpt("abc", 10) == ("abc", 0)
    assert excerpt("x" * 11, 10) == ("x" * 11, 0)
    assert excerpt("x" * 100, 10) == ("x" * 10, 90)


def test_names_become_words():
    assert words("non_refusal") == "non-refusal"
    assert words("over_refuse") == "over refuse"
    assert words("s_amb") == "s_amb"
