"""What do guesses save where a text repeats itself, and what do they cost where it does not?"""

from __future__ import annotations

from benchmarks.figures import Figure, alternate
from benchmarks.machine import park
from benchmarks.ours import Ours
from benchmarks.setting import Setting
from benchmarks.text import plain_text

TITLE = "guessed tokens"
PROMPT, TOKENS, ROUNDS = 192, 96, 5
SENTENCE = "The keeper of the lighthouse on the northern rocks counts the ships that pass before noon. "
LEAST = {"a text that repeats itself": 1.3, "a text that does not": 0.95}


def measure(setting: Setting) -> list[Figure]:
    """The same answers with guesses and without, one at a time."""
    ours = Ours(setting.path, PROMPT)
    texts = dict(zip(LEAST, (SENTENCE * 40, plain_text()), strict=True))
    return [_figure(setting, ours, name, ours.model.encode(text)[:PROMPT]) for name, text in texts.items()]


def _figure(setting: Setting, ours: Ours, name: str, prompt: list[int]) -> Figure:
    def seconds(guesses: bool) -> float:
        return ours.answers_s([prompt], TOKENS, guesses=guesses)

    sides = {"ours": lambda: seconds(True), "peer": lambda: seconds(False)}
    return Figure(
        name=f"{TOKENS} tokens after {name}",
        unit="s",
        **alternate(setting.count(ROUNDS), sides, between=park),
        peer_name="ours, without guesses",
        more_is_better=False,
        ratio_floor=LEAST[name],
        settings={"prompt": PROMPT, "tokens": TOKENS},
    )
