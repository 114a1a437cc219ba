"""How can a reader check the page? Files with digests, instruments, judges' counts, the run's own facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from greenlight.evidence import JSON
from greenlight.release.page.contents import Contents
from greenlight.release.page.rows import Fact
from greenlight.release.records import older_than_lock


class Instrument(NamedTuple):
    """What planted answers scored in one suite."""

    suite: str
    gold: str
    shuffled: str
    chance: str


class Confusion(NamedTuple):
    """How one judge read answers that people had labelled."""

    name: str
    positive: str
    tp: int
    fn: int
    tn: int
    fp: int
    sensitivity: str
    specificity: str


class Judge(NamedTuple):
    """One judge and where its counts come from."""

    name: str
    about: str
    source: str
    sha256: tuple[Fact, ...]
    tables: tuple[Confusion, ...]


def instruments(contents: Contents) -> tuple[Instrument, ...]:
    """Planted answers by suite."""
    suites = (contents.instrument or {"suites": {}})["suites"]
    return tuple(
        Instrument(name, _share(found.get("gold")), _share(found.get("shuffled")), _share(found.get("chance")))
        for name, found in sorted(suites.items())
    )


def instrument_facts(contents: Contents) -> tuple[Fact, ...]:
    """Template and batches."""
    if contents.instrument is None:
        return (Fact("instrument", "not checked: rows that depend on it are invalid"),)
    template, batch = contents.instrument["template"], contents.instrument["batch"]
    if contents.instrument.get("imported"):
        return (Fact("template", template["text"]), Fact("batch", batch["text"]))
    return (
        Fact("template", f"{'as it should be' if template['ok'] else 'FAILED'}: {template['text']}"),
        Fact("batch", f"{batch['identical']} of {batch['items']} answers are the same alone and in a batch"),
    )


def judges(contents: Contents) -> tuple[Judge, ...]:
    """The confusion counts on which judged rows rest."""
    return tuple(_judge(found) for _, found in sorted(contents.judges.items()))


def _judge(found: Mapping[str, JSON]) -> Judge:
    source = found["source"]
    return Judge(
        name=found["judge"],
        about=found["about"],
        source=f"{source['name']}; {source['citation']}",
        sha256=tuple(Fact(name, digest) for name, digest in sorted(source["sha256"].items())),
        tables=tuple(
            _confusion(name, found["metrics"][name]["positive"], counts)
            for name, counts in sorted(found["tables"]["cut"]["overall"].items())
        ),
    )


def _confusion(name: str, positive: str, counts: Mapping[str, int]) -> Confusion:
    tp, fn, tn, fp = (counts[key] for key in ("tp", "fn", "tn", "fp"))
    return Confusion(name, positive, tp, fn, tn, fp, _ratio(tp, tp + fn), _ratio(tn, tn + fp))


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "none"


def _share(value: JSON) -> str:
    return "not set" if value is None else f"{value:.3f}"


def locked_facts(contents: Contents) -> Iterator[Fact]:
    """What was fixed before the first answer."""
    lock, settings = contents.lock, contents.lock["settings"]
    yield Fact("lock", f"made {lock['created']}, which is the author's word", lock["id"])
    yield Fact("kind", lock["kind"] + (f", attempt {lock['attempt']}" if lock["attempt"] is not None else ""))
    yield Fact("seed", "it drew the questions and their order", lock["seed"])
    yield Fact("policy", lock["policy"]["name"], lock["policy"]["sha256"])
    yield Fact("model", lock["model"]["name"], lock["model"]["digest"])
    for key in ("family", "parameters"):
        if lock["model"].get(key) is not None:
            value = lock["model"][key]
            yield Fact(key, f"{value:,}" if isinstance(value, int) else str(value))
    date = lock["template"].get("date")
    yield Fact("chat template", f"its prompts state the day {date}" if date else "", lock["template"]["sha256"])
    yield Fact("system prompt", settings["system"] if settings["system"] is not None else "none")
    sampling = sorted((settings.get("sampling") or {}).items())
    yield Fact("sampling", ", ".join(f"{key.replace('_', ' ')} {_short(value)}" for key, value in sampling))
    yield Fact("operations", str(settings["ops"]))


def _short(value: JSON) -> str:
    return "none" if value is None or value == [] else str(value)


def run_facts(contents: Contents) -> Iterator[Fact]:
    """Where and how the run ran."""
    run = contents.run
    if run is None:
        yield Fact("run", "cut short before its facts were written")
        return
    machine = run["machine"]
    yield Fact("machine", ", ".join(f"{key} {value}" for key, value in sorted(machine.items())))
    yield Fact("engine", ", ".join(f"{key} {value}" for key, value in sorted(run["engine"].items())))
    yield Fact("packages", ", ".join(f"{key} {value}" for key, value in sorted(run["packages"].items())))
    yield Fact("started", str(run["started"]))
    if contents.lock["kind"] != "imported" and (older := older_than_lock(contents.lock, run)):
        yield Fact("older than its lock", older)
    yield Fact("ended", str(run["ended"] or "not recorded"))
    if run.get("minutes") is not None:
        yield Fact("time budget", f"{run['minutes']:g} minutes")
    if run.get("resumed"):
        yield Fact("resumed", f"{len(run['resumed'])} times")
    seconds = sorted(run["wall_s"].items())
    yield Fact("wall time", ", ".join(f"{name} {value:,.1f} s" for name, value in seconds) or "none")
