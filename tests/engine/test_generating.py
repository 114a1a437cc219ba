import pytest

from greenlight.engine import GenerateRequest, SamplingParams
from greenlight.engine.generating import Generating
from greenlight.engine.prefix import Node
from greenlight.engine.sampler import Draw
from greenlight.engine.sequence import Sequence
from greenlight.text.stream import StreamDecoder
from tests.engine.fake_decoder import FakeTokenizer

TOKENIZER = FakeTokenizer()
IDS = {TOKENIZER.token_bytes(token): token for token in range(97)}
END = 1


def run(tokens, *, prompt=(5, 6), max_seq_len=100, **settings):
    """Events of an answer that is given these tokens until it ends."""
    request = GenerateRequest(id="a", prompt=prompt, sampling=SamplingParams(**settings))
    sequence = Sequence("a", (0, 0), list(prompt), Node())
    job = Generating(request, sequence, StreamDecoder(TOKENIZER), TOKENIZER.eos_ids, max_seq_len)
    events = []
    for token in tokens:
        events += job.accept(Draw(token, None, ()))
        if events[-1].__class__.__name__ == "Generation":
            return events[:-1], events[-1]
    return events, None


def letters(text):
    return [IDS[letter.encode()] for letter in text]


@pytest.mark.parametrize(
    ("tokens", "settings", "text", "finish"),
    [
        ([*letters("abc"), END], {}, "abc", "stop"),
        (letters("abc"), {"max_tokens": 3}, "abc", "length"),
        ([*letters("ab"), END], {"max_tokens": 3}, "ab", "stop"),
        (letters("abc"), {"stop": ("bc",)}, "a", "stop_string"),
        (letters("abc"), {"stop": ("bc",), "max_tokens": 3}, "a", "stop_string"),
        (letters("ab"), {"stop": ("bc",), "max_tokens": 2}, "ab", "length"),
        ([*letters("ab"), END], {"stop": ("bc",)}, "ab", "stop"),
        (letters("abc"), {"max_seq_len": 5}, "abc", "context"),
        (letters("abc"), {"max_seq_len": 5, "max_tokens": 3}, "abc", "length"),
        ([*letters("a"), END, *letters("b")], {"ignore_eos": True, "max_tokens": 3}, "ab", "length"),
        ([IDS[b"\xc3"], IDS[b"\xa9"], END], {}, "é", "stop"),
        ([IDS[b"\xc3"], END], {}, "\ufffd", "stop"),
        ([IDS[b"\xc3"], END], {"stop": ("\ufffd",)}, "", "stop_string"),
    ],
)
def test_how_an_answer_ends(tokens, settings, text, finish):
    events, answer = run(tokens, **settings)
    assert (answer.text, answer.finish) == (text, finish)
    assert answer.tokens == tuple(tokens)
    assert "".join(event.text for event in events) == text


def test_no_event_holds_half_a_character_or_what_may_become_a_stop_string():
    events, _ = run([*letters("ab"), IDS[b"\xe2\x82"], IDS[b"\xac"], *letters("xyz")], stop=("\u20acyz", "bc"))
    assert [event.text for event in events] == ["a", "", "", "b", "\u20acx", "y", "z"]
