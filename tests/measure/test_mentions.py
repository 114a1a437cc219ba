import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.measure.mentions import MAX_CHARS, find_mentions, read_words


def normal(text: str) -> str:
    return " ".join(word.text for word in read_words(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Gabriel García Márquez", "gabriel garcia marquez"),
        ("The Beatles", "beatles"),
        ("Hadrian's Wall", "hadrian’s wall"),
        ("St. Helena", "Saint Helena"),
        ("Mt Etna", "Mount Etna"),
        ("J. R. R. Tolkien", "J.R.R. Tolkien"),
        ("U.S.", "US"),
        ("Jørn Utzon", "Jorn Utzon"),
        ("Alþingi", "Althingi"),
        ("H₂O", "H2O"),
        ("**Paris**", "Paris"),
        ("C-sharp minor", "C♯ minor"),
        ("AT&T", "AT and T"),
        ("eight", "8"),
        ("Twenty-one", "21"),
        ("the twenty five", "25"),
        ("a hundred", "100"),
        ("one hundred", "100"),
        ("two hundred and five", "205"),
        ("two hundred thousand", "200,000"),
        ("3 million", "3000000"),
        ("299 792 458", "299,792,458"),
        ("007", "7"),
        ("7.0", "7"),
        ("minus 273.15", "-273.15"),
        ("−40", "-40"),
        ("the thirteenth", "13th"),
        ("twenty-first", "21st"),
        ("eleventh", "11th"),
        ("60kg", "60 kg"),
    ],
)
def test_two_spellings_of_one_thing_read_the_same(one, other):
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("vitamin A", "vitamin C"),
        ("Linear A", "Linear B"),
        ("C-sharp minor", "C minor"),
        ("1,5", "15"),
        ("8.5", "8"),
        ("-5", "5"),
        ("1960s", "1960"),
        ("two hundred", "two"),
        ("the 8th", "8"),
        ("1.5 million", "1.5"),
    ],
)
def test_different_things_read_differently(one, other):
    assert normal(one) != normal(other)


def test_one_is_a_number_only_where_it_counts():
    assert normal("one leg") == "1 leg"
    assert normal("No one knows the one that one of them chose") == "no one knows one that one of them chose"


def test_a_name_is_found_as_whole_words_only():
    assert not list(find_mentions(read_words("the pineapples"), "apple"))
    assert [m.start for m in find_mentions(read_words("Apples, an apple, and Apple Inc."), "apple")] == [1, 3]


def test_a_name_without_words_is_never_found():
    assert not list(find_mentions(read_words("anything at all"), "?!"))


@pytest.mark.parametrize("text", ["not Lyon", "rather than Lyon", "it isn't Lyon", "It was never the city of Lyon"])
def test_a_name_after_a_negation_is_refused(text):
    (mention,) = find_mentions(read_words(text), "Lyon")
    assert mention.refused


@pytest.mark.parametrize(
    "text", ["not only Lyon", "I'm not sure, Lyon", "I am not sure it is Lyon", "I don't know, but Lyon", "No, Lyon"]
)
def test_a_doubt_before_a_name_does_not_refuse_it(text):
    (mention,) = find_mentions(read_words(text), "Lyon")
    assert not mention.refused


def test_a_name_can_be_disowned_by_what_follows():
    assert next(find_mentions(read_words("Lyon is not the capital"), "Lyon")).disowned
    assert not next(find_mentions(read_words("Lyon is not only large"), "Lyon")).disowned


def test_sentences_and_clauses_are_told_apart():
    words = {word.text: word for word in read_words("Dr. No met St. Peter, he said. Then 3.5 came.")}
    assert words["peter"].sentence == words["said"].sentence == 0
    assert words["peter"].clause != words["said"].clause
    assert words["3.5"].sentence == 1


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_reading_never_raises_and_is_stable_under_repetition(text):
    assert read_words(text) == read_words(text)
    assert not any(word.text in ("", "the") for word in read_words(text))


def test_only_the_first_characters_are_read():
    assert normal("x " * MAX_CHARS + "Paris").count("paris") == 0
