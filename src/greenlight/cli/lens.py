"""What does a model's reading of a text look like? A table in the terminal, and a picture in one HTML file."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import Any

from greenlight.compose.lens import SURPRISING, surprise

_STEPS = (1.0, 3.0, 7.0, 10.0)
"""Bits of surprise at which the picture's shade changes."""

_HOW = (
    "Each token with its probability under the model, given all before it, and the likeliest tokens at its place. "
    f"A token below {SURPRISING:.0%} is marked."
)
_LENS = (
    "The logit lens (nostalgebraist 2020): the final norm and head applied to what each block hands on. A column is a "
    "position; each cell is the token that layer would have said next; the last row is the model's answer."
)
_CSS = """
body { max-width: none; }
main > p, h1, h2 { max-width: 47rem; }
.reading { font-family: var(--mono); line-height: 3; }
.token { border-bottom: 0 solid var(--ink); padding: 0.1rem 0.2rem; white-space: pre-wrap; }
.token small { color: var(--muted); font-size: 0.65em; padding-left: 0.25em; }
.s1 { border-bottom-width: 1px; background: color-mix(in srgb, var(--amber) 10%, transparent); }
.s2 { border-bottom-width: 2px; background: color-mix(in srgb, var(--amber) 25%, transparent); }
.s3 { border-bottom-width: 4px; background: color-mix(in srgb, var(--red) 25%, transparent); }
.s4 { border-bottom-width: 6px; background: color-mix(in srgb, var(--red) 45%, transparent); }
.wide { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; font: 0.8rem/1.4 var(--mono); }
th, td { border: 1px solid var(--hair); padding: 0.2rem 0.4rem; text-align: left; white-space: pre; }
.sure { font-weight: 700; }
"""


def text_of(reading: dict[str, Any]) -> str:
    """The table for a terminal; control characters in tokens are written as escapes."""
    bits = reading["bits_per_token"]
    lines = [
        f"{reading['reference']}  {len(reading['tokens'])} tokens"
        + (f", {bits:.2f} bits a token" if bits is not None else ""),
        f"  {'':>4} {'token':<20} {'p':>7} {'rank':>7}    likeliest here",
    ]
    for position, token in enumerate(reading["tokens"]):
        mark = "!" if _surprising(token) else " "
        chance = _chance(token)
        rank = "–" if token["rank"] is None else f"{token['rank']:,}"
        likely = _list(token["alternatives"])
        lines.append(f"  {position:>4} {token['text']!r:<20} {chance:>7} {rank:>7} {mark}  {likely}".rstrip())
    lines.append(f"  {'next':>4} {'':<20} {'':>7} {'':>7}    {_list(reading['next'])}")
    lines += ["", f"  what each layer would say after the last token (! marks a token below {SURPRISING:.0%} above)"]
    lines += [
        f"  {layer:>4} {guess['text']!r:<20} {guess['probability']:>7.2%}"
        for layer, guess in enumerate(reading["lens"][-1], 1)
    ]
    return "\n".join(lines)


def page_of(reading: dict[str, Any]) -> str:
    """One HTML file without scripts, in which nothing is fetched and every token is escaped."""
    css = files("greenlight.release.page").joinpath("page.css").read_text("utf-8") + _CSS
    title = f"How {_safe(reading['reference'])} reads"
    bits = reading["bits_per_token"]
    mean = "" if bits is None else f" On average {bits:.2f} bits of surprise a token."
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{css}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f"<p>{_HOW}{mean} The small figure is the surprise in bits; the thicker the line below, the more of it.</p>\n"
        f'<p class="reading">{"".join(map(_span, reading["tokens"]))}</p>\n'
        f"<h2>Token by token</h2>\n{_tokens(reading)}\n"
        f"<h2>Layer by layer</h2>\n<p>{_LENS} Bold where it is at least 50% sure.</p>\n{_lens(reading)}\n"
        "</main>\n</body>\n</html>\n"
    )


def _span(token: dict[str, Any]) -> str:
    if token["probability"] is None:
        return f'<span class="token">{_safe(token["text"])}</span>'
    bits = surprise(token["probability"])
    shade = sum(bits >= step for step in _STEPS)
    return (
        f'<span class="token s{shade}" title="{escape(_chance(token))}, rank {token["rank"]:,}">'
        f"{_safe(token['text'])}<small>{bits:.1f}</small></span><wbr>"
    )


def _tokens(reading: dict[str, Any]) -> str:
    rows = [
        f"<tr><th scope='row'>{position}</th><td>{_safe(token['text'])}</td>"
        f"<td>{escape(_chance(token))}"
        f"{' !' if _surprising(token) else ''}</td><td>{_safe(_list(token['alternatives']))}</td></tr>"
        for position, token in enumerate(reading["tokens"])
    ]
    rows.append(f"<tr><th scope='row'>next</th><td></td><td></td><td>{_safe(_list(reading['next']))}</td></tr>")
    return _table("<th>Position</th><th>Token</th><th>Probability</th><th>Likeliest here</th>", rows)


def _lens(reading: dict[str, Any]) -> str:
    head = "<th>Layer</th>" + "".join(f"<th>{_safe(token['text'])}</th>" for token in reading["tokens"])
    rows = [
        f"<tr><th scope='row'>{layer + 1}</th>{''.join(_cell(guesses[layer]) for guesses in reading['lens'])}</tr>"
        for layer in range(reading["n_layers"])
    ]
    return _table(head, rows)


def _cell(guess: dict[str, Any]) -> str:
    sure = guess["probability"]
    kind = ' class="sure"' if sure >= 0.5 else ""
    shade = f"background: color-mix(in srgb, var(--blue) {sure * 45:.0f}%, transparent)"
    return f'<td{kind} style="{shade}">{_safe(_seen(guess["text"]))} {sure:.0%}</td>'


def _table(head: str, rows: list[str]) -> str:
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{chr(10).join(rows)}\n</tbody></table></div>'
    )


def _list(guesses: list[dict[str, Any]]) -> str:
    return "  ".join(f"{guess['text']!r} {guess['probability']:.1%}" for guess in guesses)


def _surprising(token: dict[str, Any]) -> bool:
    return token["probability"] is not None and token["probability"] < SURPRISING


def _chance(token: dict[str, Any]) -> str:
    """A probability; one that would print as nothing is said to be small."""
    probability = token["probability"]
    if probability is None:
        return "–"
    return "<0.01%" if probability < 0.0001 else f"{probability:.2%}"


def _seen(text: str) -> str:
    """A token of nothing but spaces, so that one sees it."""
    return text if text.strip(" ") else "␣" * len(text)


def _safe(text: str) -> str:
    """Text for HTML: control and direction characters as escapes, then everything that HTML reads escaped."""
    return escape("".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text))
