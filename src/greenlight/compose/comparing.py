"""How are models compared that have not been asked yet? Each sits the same exploratory exam in full; then the runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from greenlight.compose.observer import Observer
from greenlight.compose.settings import Settings
from greenlight.compose.verbs import DEFAULT, assess_reference
from greenlight.errors import UsageError
from greenlight.gate.policy import Policy, load_policy
from greenlight.release.comparing import RunComparison, compare_runs


def is_run(name: str | Path) -> bool:
    """Whether a name is of a run folder, not of a model."""
    return (Path(name) / "lock.json").exists()


def compare_references(
    names: Sequence[str | Path],
    *,
    policy: str | Path | None = None,
    across: bool = False,
    include_harmful: bool = False,
    settings: Settings = DEFAULT,
    only: Sequence[str] | None = None,
    minutes: float | None = None,
    out: Path | str | None = None,
    ops: str | None = None,
    pull: bool = False,
    observer: Observer | None = None,
) -> RunComparison:
    """Compare runs, or models, with the first of them.

    Models are asked first: an exploratory lock draws its exam from the policy alone, so each gets the same questions
    in the same order, and answers all of them. A second call goes on with what the first one left.

    Args:
        names: run folders, or references of models; not both.
        policy: whose rows are compared; the lock's, or the starter policy for models.
        across: compare runs although their settings differ.
        include_harmful: show harmful items and answers to them as text.
        settings: what the models are asked under.
        only: names of assessments; for models.
        minutes: time for all models together, shared evenly.
        out: parent of the models' run folders; `compare` by default.
        ops: what computes the models.
        pull: fetch models that are not here.
        observer: told of each step.

    Raises:
        UsageError: runs and models are mixed, or fewer than two are named.
    """
    runs = [is_run(name) for name in names]
    if any(runs) and not all(runs):
        raise UsageError(
            "runs and models cannot be mixed",
            where="compare",
            found=", ".join(f"{name}: {'a run' if run else 'a model'}" for name, run in zip(names, runs, strict=True)),
            do="assess the model first (greenlight assess MODEL --whole --policy POLICY), then name its run",
        )
    rules: Policy | None = load_policy(policy) if policy else None
    if runs and all(runs):
        return compare_runs(
            [Path(name) for name in names], policy=rules, across=across, include_harmful=include_harmful
        )
    if len(set(map(str, names))) < max(2, len(names)):
        raise UsageError("a comparison takes two models or more, each once", do="greenlight compare A B")
    folders = [
        assess_reference(
            str(name),
            policy=policy or "starter",
            settings=settings,
            out=Path(out or "compare") / _folder_name(str(name)),
            only=only,
            minutes=None if minutes is None else minutes / len(names),
            include_harmful=include_harmful,
            whole=True,
            ops=ops,
            pull=pull,
            observer=observer,
        )
        for name in names
    ]
    return compare_runs(folders, policy=rules, across=across, include_harmful=include_harmful)


def _folder_name(reference: str) -> str:
    """A name for a folder that tells two references apart."""
    from greenlight.evidence import sha256

    short = re.sub(r"[^A-Za-z0-9._-]+", "-", reference.rpartition("/")[2]).strip("-.") or "model"
    return f"{short}-{sha256(reference.encode())[:6]}"
