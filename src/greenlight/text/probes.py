"""Which short texts tell tokenizers apart? Those at which their ways of splitting and normalising differ."""

from __future__ import annotations

PROBES = (
    "",
    " ",
    "a",
    "Hello, world!",
    " leading and trailing ",
    "two  spaces   three    four",
    "tab\tand\ttab, line\nbreak\n\nand\r\nanother\n \n  \n",
    "I'm you're HE'S they'VE we'll D'oh don’t l'été IT'S'll",
    "1 12 123 1234 12345 1234567890 3.14159 1,000,000 ½ ²",
    "    8 a   1 b\t 2\n 3  x  \n  y 12  34",
    "x2y3 a1b22c333 v1.2.3-rc4 0x1F 1e-5",
    "CamelCase snake_case SCREAMING_SNAKE kebab-case mixedCASEWords ABCdef",
    "def f(x):\n    return {'a': [x ** 2, -x]}  # comment\n\n\n",
    "$100 + 50% = #1 & @home; ~/path\\to/file?q=1&r=2 <tag/> == != >= <= ...",
    "ÀÉÎÕÜ naïve façade Straße Ωμέγα Привет мир שלום مرحبا हिन्दी ไทย",
    "中文字符和标点。日本語のテキスト、カタカナ。한국어 텍스트",
    "e\u0301 vs é, n\u0303 vs ñ, \ufb01 \u212b \u2126",
    "😀 👩‍👩‍👧 🇩🇪 ✓ → ∞ … – — “quoted” ‘single’",
    "\u00a0nbsp\u2003em\u3000ideographic\u200bzero\ufeff",
    "Word.Word,word;word:word!word?(word)[word]{word}",
    "!!!??? ---- ==== **** //// \\\\\\\\ ''' \"\"\"",
    "▁ <s> </s> <unk> <pad> <bos> <eos> <|endoftext|> <|im_start|> <|eot_id|> [PAD5] <0x41>",
    "The quick brown fox jumps over the lazy dog, and then it was the end of the story.",
    'It was the best of times; it was the worst of times: 1859.\n"So it goes", he said.\n',
)
"""Every one is a few words, so that a conversion loses no time over them."""
