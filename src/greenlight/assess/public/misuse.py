"""Does a model decline what is harmful, and only that? Public sets of harmful requests, and of safe ones beside them.

The requests are the sets' own words and are only put to the model; reports show them by id and digest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from greenlight.assess.data import Row, Table, field
from greenlight.assess.public.adapter import ToItem, digests, draw_rows
from greenlight.assess.suites.item import Item, Message, Suite

VERSION = 1
ANSWER_TOKENS = 64
_SAFETY = "Requests with safety concerns"
"""The one of CoCoNot's categories that is about harm; the others ask for what a model cannot know or be."""


def request(suite: str, number: int, prompt: str, *, topic: str, source: str, safe: bool = False) -> Item:
    """A request that should be declined, or one that should be answered."""
    name = f"{suite}-{number + 1:05d}"
    key = {"expect": "compliance" if safe else "refusal"}
    if suite.startswith("over_refuse"):
        key |= {"label": "safe" if safe else "unsafe", "pair": name}
    return Item(
        id=name,
        topic=topic or "all",
        cluster=name,
        messages=(Message("user", prompt),),
        key=key,
        note=f"{source}, row {number + 1}",
        harmful=not safe,
    )


def _plain(suite: str, source: str, prompt: str, topic: str, row: Row, table: Table, number: int) -> Item:
    """A row with a prompt and a category, each in a field of its own."""
    asked = str(field(row, prompt, str, table, number))
    return request(suite, number, asked, topic=str(field(row, topic, str, table, number)), source=source)


def _advbench(row: Row, table: Table, number: int) -> Item:
    asked = str(field(row, "goal", str, table, number))
    return request("refuse.advbench", number, asked, topic="all", source="AdvBench (Zou et al. 2023, arXiv:2307.15043)")


def _harmbench(row: Row, table: Table, number: int) -> Item | None:
    """A behaviour, after its context where it has one; of copyright a refusal says nothing."""
    behaviour, kind, topic, context = (
        str(field(row, name, str, table, number))
        for name in ("Behavior", "FunctionalCategory", "SemanticCategory", "ContextString")
    )
    if kind == "copyright":
        return None
    asked = f"{context}\n\n---\n\n{behaviour}" if context.strip() else behaviour
    source = "HarmBench (Mazeika et al. 2024, arXiv:2402.04249)"
    return request("refuse.harmbench", number, asked, topic=topic, source=source)


def _coconot(suite: str, safe: bool, row: Row, table: Table, number: int) -> Item | None:
    category, topic, asked = (
        str(field(row, name, str, table, number)) for name in ("category", "subcategory", "prompt")
    )
    if category != _SAFETY and not safe:
        return None
    source = "CoCoNot (Brahman et al. 2024, arXiv:2407.12043)"
    return request(suite, number, asked, topic=topic, source=source, safe=safe)


def _xstest(row: Row, table: Table, number: int) -> Item:
    asked, kind, label = (str(field(row, name, str, table, number)) for name in ("prompt", "type", "label"))
    source = "XSTest (Röttger et al. 2024, arXiv:2308.01263)"
    topic = kind.removeprefix("contrast_")
    return request("over_refuse.xstest", number, asked, topic=topic, source=source, safe=label == "safe")


def _or_bench(row: Row, table: Table, number: int) -> Item:
    asked, topic = (str(field(row, name, str, table, number)) for name in ("prompt", "category"))
    source = "OR-Bench (Cui et al. 2024, arXiv:2405.20947)"
    return request("over_refuse.or_bench", number, asked, topic=topic, source=source, safe=True)


def _suite(name: str, file: str, to_item: ToItem, licence: str, about: str, chance: float = 1.0) -> Suite:
    return Suite(
        name=name,
        version=VERSION,
        kind="generate",
        grader="refusal",
        answer_tokens=ANSWER_TOKENS,
        chance=chance,
        description=about,
        draw=draw_rows(name, VERSION, file, to_item),
        licence=licence,
        files=digests(file),
    )


def _from(suite: str, source: str, prompt: str, topic: str) -> Callable[[Row, Table, int], Item]:
    return partial(_plain, suite, source, prompt, topic)


MISUSE = (
    _suite(
        "refuse.simple_safety_tests",
        "simple_safety_tests/simple_safety_tests.csv",
        _from(
            "refuse.simple_safety_tests",
            "SimpleSafetyTests (Vidgen et al. 2023, arXiv:2311.08370)",
            "prompts_final",
            "harm_area",
        ),
        "CC-BY-4.0",
        "Requests that no model should comply with, in five areas of harm.",
    ),
    _suite(
        "refuse.strongreject",
        "strongreject/strongreject_dataset.csv",
        _from(
            "refuse.strongreject", "StrongREJECT (Souly et al. 2024, arXiv:2402.10260)", "forbidden_prompt", "category"
        ),
        "MIT",
        "Forbidden requests in six categories, specific enough to be answered.",
    ),
    _suite(
        "refuse.harmbench",
        "harmbench/harmbench_behaviors_text.csv",
        _harmbench,
        "MIT",
        "Harmful behaviours, plain and with context; those about copyright are left out.",
    ),
    _suite(
        "refuse.jailbreakbench",
        "jailbreakbench/harmful_behaviors.csv",
        _from("refuse.jailbreakbench", "JailbreakBench (Chao et al. 2024, arXiv:2404.01318)", "goal", "category"),
        "MIT",
        "Misuse in ten categories, asked plainly.",
    ),
    _suite(
        "refuse.advbench",
        "advbench/harmful_behaviors.csv",
        _advbench,
        "MIT",
        "Harmful instructions; many are alike.",
    ),
    _suite(
        "refuse.catqa",
        "catqa/catqa_english.jsonl",
        _from("refuse.catqa", "CatQA (Bhardwaj et al. 2024, arXiv:2402.11746)", "question", "category"),
        "Apache-2.0",
        "Harmful questions in eleven categories of five kinds each.",
    ),
    _suite(
        "refuse.do_not_answer",
        "do_not_answer/do_not_answer.jsonl",
        _from("refuse.do_not_answer", "Do-Not-Answer (Wang et al. 2023, arXiv:2308.13387)", "prompt", "risk_area"),
        "CC-BY-NC-SA-4.0",
        "Questions that a responsible model does not answer, in five areas of risk; not for commercial use.",
    ),
    _suite(
        "refuse.coconot",
        "coconot/eval.jsonl",
        partial(_coconot, "refuse.coconot", False),
        "ODC-BY-1.0",
        "Requests with safety concerns.",
    ),
    _suite(
        "over_refuse.xstest",
        "xstest/xstest_prompts.csv",
        _xstest,
        "CC-BY-4.0",
        "Safe prompts that look unsafe in ten ways, beside unsafe contrasts.",
        chance=0.55,
    ),
    _suite(
        "over_refuse.or_bench",
        "or_bench/or_bench_hard_269.jsonl",
        _or_bench,
        "CC-BY-4.0",
        "Safe prompts that look unsafe and that several strong models refused.",
    ),
    _suite(
        "over_refuse.coconot",
        "coconot/contrast_eval.jsonl",
        partial(_coconot, "over_refuse.coconot", True),
        "ODC-BY-1.0",
        "Requests that look like ones to decline and should be answered.",
    ),
)
"""Suites of misuse and of what only looks like it."""
