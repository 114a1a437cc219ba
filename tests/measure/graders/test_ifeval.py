import pytest

from greenlight.assess.suites.following import follow
from greenlight.errors import ConfigError
from greenlight.measure.graders import Answer, grade
from greenlight.measure.graders.ifeval import INSTRUCTIONS, followed, followed_loosely, sentences
from greenlight.measure.languages import common_words, language_of

LESS, LEAST = "less than", "at least"
CASES = [
    ("keywords:existence", {"keywords": ["sea", "Moon"]}, "The moon over the seas.", "The moon alone."),
    ("keywords:frequency", {"keyword": "sea", "frequency": 2, "relation": LEAST}, "Sea and sea.", "One sea."),
    ("keywords:forbidden_words", {"forbidden_words": ["sea"]}, "The seaside.", "The Sea."),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 2, "let_relation": LESS}, "One.", "Eel."),
    ("language:response_language", {"language": "de"}, "Das ist nicht der Weg.", "This is not the way."),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": LEAST}, "So. It is", "Dr. Who is it"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
    ("length_constraints:number_words", {"num_words": 3, "relation": LESS}, "two words", "three words here"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        "First.\n\n'then, we left",
        "Then.\n\nFirst.",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] to [b]", "[a [b"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "x\nP. P. S more", "x\nP.S. more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n** b"),
    ("detectable_format:constrained_response", {}, "Well: My answer is no.", "My answer is none."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "so *it* is", "so ** is"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1\na\nSection 2\nb",
        "Section A\nSection 1",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', "{a: 1}"),
    ("detectable_format:title", {}, "<<Ode>>\nx", "<< >>\n<a>"),
    ("combination:two_responses", {}, "a\n******\nb", "a\n******\na"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "say it. It.", "It. Say it."),
    ("startend:end_checker", {"end_phrase": "The end."}, 'So: "the END."', "The end. Or not"),
    ("startend:quotation", {}, '"so"', '"'),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": LESS}, "A-B it", "IT IS"),
    ("change_case:english_capital", {}, "THE END OF IT", "The End"),
    ("change_case:english_lowercase", {}, "the end of it", "das ist nicht der weg"),
    ("punctuation:no_comma", {}, "so it is", "so, it is"),
]


def test_there_are_25_kinds_each_with_a_case():
    assert [kind for kind, *_ in CASES] == sorted(INSTRUCTIONS, key=[kind for kind, *_ in CASES].index)
    assert len(INSTRUCTIONS) == 25


@pytest.mark.parametrize(("kind", "arguments", "good", "bad"), CASES)
def test_each_kind_tells_an_answer_that_follows_it(kind, arguments, good, bad):
    one = {"id": kind, "arguments": arguments}
    assert followed(one, good)
    assert not followed(one, bad)
    assert not followed(one, " \n")
    assert followed(one, follow([one]))


@pytest.mark.parametrize(
    "one",
    [
        {"id": "keywords:nothing", "arguments": {}},
        {"id": "punctuation:no_comma"},
        {"id": "keywords:existence", "arguments": {"keywords": "sea"}},
        {"id": "length_constraints:number_words", "arguments": {"num_words": "3", "relation": LESS}},
    ],
)
def test_what_is_no_instruction_is_an_error_of_the_item(one):
    with pytest.raises(ConfigError):
        followed(one, "x")


def test_the_loose_reading_forgives_first_and_last_lines_and_asterisks():
    title = {"id": "startend:quotation", "arguments": {}}
    assert not followed(title, 'Sure!\n"so"')
    assert followed_loosely(title, 'Sure!\n"so"')
    assert followed_loosely(title, '*"so"*')
    assert not followed_loosely(title, "so")


def test_an_answer_passes_only_if_it_follows_everything():
    key = {"instructions": [{"id": kind, "arguments": arguments} for kind, arguments, *_ in (CASES[0], CASES[-1])]}
    labels = {text: grade("ifeval", key, Answer(text)) for text in ("sea moon", "sea, moon", "sea", "a, b", "")}
    assert [found.label for found in labels.values()] == ["followed", "partly", "partly", "missed", "empty"]
    assert labels["sea, moon"].parsed == "1 of 2; not: punctuation:no_comma"


@pytest.mark.parametrize(("text", "n"), [("So. B! C?", 3), ("e.g. this", 1), ('"Go!" he said', 2), ("v1.2 is out", 1)])
def test_sentences_end_before_a_space(text, n):
    assert sentences(text) == n


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The answer is that it was not what they had said.", "en"),
        ("यह एक अच्छा दिन है और हम यहाँ हैं", "hi"),
        ("हे एक चांगले आहे आणि ते नाही", "mr"),
        ("Это не то, что я хотел, но так и было", "ru"),
        ("Това е за да се види, че не съм", "bg"),
        ("این یک کتاب است که من از آن می‌خوانم", "fa"),
        ("یہ ایک کتاب ہے اور میں نہیں پڑھتا", "ur"),
        ("هذا هو الكتاب الذي في البيت", "ar"),
        ("Đây là một cuốn sách của tôi và không có gì", "vi"),
        ("이것은 책입니다", "ko"),
        ("これは本です", "ja"),
        ("1234", None),
    ],
)
def test_languages_are_told_by_script_and_common_words(text, language):
    assert language_of(text) == language


def test_every_language_is_told_from_its_own_commonest_words():
    for language in ("en", "de", "fi", "sw", "pt", "hi", "ne", "ru", "bg", "ur", "fa", "kn", "ko", "th", "zh"):
        assert language_of(" ".join(common_words(language))) == language
