"""Varied strings by seed: scripts, emoji, whitespace, control characters, code, numbers, look-alikes of tokens."""

from __future__ import annotations

import random

SCRIPTS = (
    (0x20, 0x7E),
    (0xA0, 0x17F),
    (0x370, 0x3FF),
    (0x400, 0x4FF),
    (0x530, 0x58F),
    (0x590, 0x5FF),
    (0x600, 0x6FF),
    (0x900, 0x97F),
    (0xE00, 0xE7F),
    (0x10A0, 0x10FF),
    (0x1100, 0x11FF),
    (0x1E00, 0x1EFF),
    (0x2000, 0x206F),
    (0x2190, 0x22FF),
    (0x3040, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xFF00, 0xFFEF),
    (0x1D400, 0x1D7FF),
    (0x1F300, 0x1FAFF),
)
EMOJI = ("👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "❤️", "👩🏾‍🚀", "🧑‍🤝‍🧑", "😀", "☕", "1️⃣")
SPACES = (
    " ",
    "  ",
    "    ",
    "\t",
    "\n",
    "\r\n",
    "\n\n\n",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u200b",
    " \n ",
    "\v",
    "\f",
    "\x85",
    "\u2028",
)
LOOKALIKES = (
    "<|im_end|>",
    "<|im_start|>",
    "<|im_start|>system\n",
    "<|endoftext|>",
    "<s>",
    "</s>",
    "<|im_",
    "end|>",
    "<unk>",
    "<|im_end",
    "<<|im_end|>>",
    "<|IM_END|>",
    "< |im_end|>",
    "<file_sep>",
    "[INST]",
    "<0x0A>",
    "▁",
    "Ġ",
    "Ċ",
)
CODE = (
    "def f(x):\n    return x ** 2\n",
    "if (a != b) { c += 0x1F; }",
    "SELECT * FROM t WHERE id='1';--",
    '<div class="x">&amp;</div>',
    "for i in range(10):\n\t\tprint(f'{i:>3}')",
    "\\begin{align} x_{1}^{2} \\end{align}",
    "https://example.org/a?b=c&d=%20#e",
    'git commit -m "don\'t"',
    "a->b::c<T>()",
    "////////",
    "=======",
    "-----------",
    "'''\"\"\"```",
)
WORDS = (
    "the",
    "The",
    "THE",
    "I'll",
    "we've",
    "don't",
    "IT'S",
    "can’t",
    "naïve",
    "Straße",
    "e\u0301tude",
    "o\u0308",
    "Ελλάδα",
    "привет",
    "你好世界",
    "こんにちは",
    "안녕하세요",
    "שלום",
    "مرحبا",
    "नमस्ते",
    "สวัสดี",
    "iPhone",
    "camelCase",
    "snake_case",
    "x",
    "",
)
NUMBERS = (
    "0",
    "7",
    "42",
    "1234567890",
    "3.14159",
    "1,000,000",
    "-5",
    "1e-9",
    "²",
    "½",
    "٣",
    "Ⅳ",
    "一二三",
    "12:34:56",
    "100%",
    "$9.99",
)


def _random_script(rng: random.Random) -> str:
    low, high = rng.choice(SCRIPTS)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 12)))


def _control(rng: random.Random) -> str:
    return "".join(chr(rng.choice([*range(0, 32), *range(127, 160)])) for _ in range(rng.randint(1, 4)))


def _anything(rng: random.Random) -> str:
    chars = (chr(rng.randint(0, 0x10FFFF)) for _ in range(rng.randint(1, 6)))
    return "".join(char for char in chars if not 0xD800 <= ord(char) <= 0xDFFF)


def varied_string(rng: random.Random) -> str:
    """One string: between nothing and a few dozen pieces of mixed kinds."""
    pick = (
        lambda: rng.choice(WORDS),
        lambda: rng.choice(WORDS) + " ",
        lambda: " " + rng.choice(WORDS),
        lambda: rng.choice(SPACES) * rng.randint(1, 5),
        lambda: rng.choice(EMOJI),
        lambda: rng.choice(LOOKALIKES),
        lambda: rng.choice(CODE),
        lambda: rng.choice(NUMBERS),
        lambda: str(rng.randint(0, 10 ** rng.randint(1, 12))),
        lambda: _random_script(rng),
        lambda: _control(rng),
        lambda: _anything(rng),
    )
    return "".join(rng.choice(pick)() for _ in range(rng.randint(0, rng.choice((3, 8, 24)))))


def varied_strings(n: int, seed: int) -> list[str]:
    """n strings, the same for the same seed."""
    rng = random.Random(seed)
    return [varied_string(rng) for _ in range(n)]
