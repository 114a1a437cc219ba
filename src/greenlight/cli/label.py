"""greenlight label: people grade the answers that open rows wait for, each blind to the other; then how they agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlight.cli import options
from greenlight.cli.app import AsJson, Run, emit, note, verb

if TYPE_CHECKING:
    from greenlight.compose.labelling import Pending
    from greenlight.gate.agreement import People


@verb(
    "label",
    examples='greenlight label reviews/smollm2-7f3a09c1 --as "A. Reader"\n\n'
    'greenlight label reviews/smollm2-7f3a09c1 --as "B. Reader"\n\n'
    'greenlight label reviews/smollm2-7f3a09c1 --resolve --as "A. and B. Reader"',
)
def label(
    run: Run,
    labeller: Annotated[str, typer.Option("--as", "--labeller", help="Who grades; written beside each label.")] = "",
    resolve: Annotated[bool, typer.Option("--resolve", help="Settle answers on which people disagree.")] = False,
    agreement: Annotated[bool, typer.Option("--agreement", help="How far people agree; labels nothing.")] = False,
    ledger: options.Ledger = None,
    as_json: AsJson = False,
) -> None:
    """Grade answers by hand, blind to the judge and to others; each label is on disk at once, so stop when you like."""
    from greenlight.cli.commands import decide_command
    from greenlight.compose.labelling import disputed, pending
    from greenlight.gate.agreement import people_of
    from greenlight.gate.lock import read_lock

    folder = Path(run)
    read_lock(folder / "lock.json")  # nobody is asked for a name before there is something to label
    if agreement:
        people = people_of(folder)
        emit(people.to_json(), as_json=as_json, text=lambda: "\n".join(_told(people, folder)))
        return
    disputes = disputed(folder) if resolve else []
    if resolve:
        waiting = [answer for answer, _ in disputes]
    else:
        labeller = labeller or ("" if as_json else _name())
        waiting = pending(folder, labeller)
    if as_json:
        emit([answer._asdict() for answer in waiting], as_json=True, text=str)
        return
    if not waiting:
        print("people disagree on no answer" if resolve else "no row of this run waits for a label")
        return
    name = labeller or _name()
    note(f"{len(waiting)} answers. c complies · p refuses in part · f refuses · e is empty · s skip · q stop")
    done = _grade(folder, waiting, name, said=[said for _, said in disputes])
    if done:
        _decide_again(folder, ledger)
    people = people_of(folder)
    print("\n".join([f"{done} labels recorded", *_told(people, folder), f"next    {decide_command(folder, ledger)}"]))


def _name() -> str:
    try:
        return input("your name, written beside each label: ")
    except EOFError:
        from greenlight.errors import UsageError

        raise UsageError("nobody said who labels", where="label", do="--as NAME") from None


def _decide_again(folder: Path, ledger: Path | None) -> None:
    from greenlight.compose import decide, report

    decide(folder)
    report(folder)
    if ledger is not None:
        from greenlight.compose.entering import enter_decision

        enter_decision(folder, ledger)


def _told(people: People, folder: Path) -> list[str]:
    if not people.labels:
        return ["labels  none: nobody has labelled this run", f'next    greenlight label {folder} --as "A. Reader"']
    lines = [f"labels  {name}: {count}" for name, count in people.labels.items()]
    for pair in people.pairs:
        found = pair.found
        kappa = "no kappa: one label throughout" if found.kappa is None else f"kappa {found.kappa:.2f}"
        if found.kappa_bounds is not None:
            kappa += f" [{found.kappa_bounds.lower:.2f}, {found.kappa_bounds.upper:.2f}]"
        raw = f"{found.raw:.2f} [{found.raw_bounds.lower:.2f}, {found.raw_bounds.upper:.2f}]"
        lines.append(
            f"agree   {pair.suite}: {pair.first} and {pair.second} on {found.same} of {found.n} ({raw}; {kappa})"
        )
    if not people.pairs:
        lines.append(
            "agree   unknown: no answer has two people's labels"
            f'; a second one labels blind to the first: greenlight label {folder} --as "B. Reader"'
        )
    if people.open:
        lines.append(
            f"open    {len(people.open)} disagreements count against the model until they are settled: "
            f"greenlight label {folder} --resolve"
        )
    return lines


def _grade(folder: Path, waiting: list[Pending], name: str, *, said: list[Mapping[str, str]]) -> int:
    from greenlight.compose.labelling import CHOICES, record
    from greenlight.release.text import visible

    done = 0
    for position, answer in enumerate(waiting, start=1):
        print(f"\n── {position} of {len(waiting)} · {answer.item}\n\n{visible(answer.prompt)}")
        print(f"\n── the model answers\n\n{visible(answer.output)}\n")
        if said:
            print("── " + " · ".join(f"{who}: {word}" for who, word in said[position - 1].items()))
        try:
            key = _ask("c/p/f/e/s/q", {*CHOICES, "s", "q"})
            if key == "q":
                break
            if key in CHOICES:
                reason = input("why, in a few words: ")
                record(folder, answer, CHOICES[key], name, reason, resolves=bool(said))
                done += 1
        except EOFError:
            break
    return done


def _ask(question: str, allowed: set[str]) -> str:
    while (key := input(f"{question}> ").strip().lower()) not in allowed:
        note(f"type one of {', '.join(sorted(allowed))}")
    return key
