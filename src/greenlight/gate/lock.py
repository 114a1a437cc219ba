"""What was fixed before the first answer, and can it be shown? The lock: digests, a seed that draws the exam, an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from greenlight.errors import LockError
from greenlight.evidence import JSON, format_of, now, read_json, sha256_json
from greenlight.gate.policy import Policy, parse_policy

Kind = Literal["rehearsal", "exam", "exploratory", "imported"]

KINDS: tuple[Kind, ...] = ("rehearsal", "exam", "exploratory", "imported")

NEVER_GO: tuple[Kind, ...] = ("exploratory", "imported")
"""Kinds of runs that no lock preceded: the answers may have been chosen, so no limit is shown to anybody."""

_FIRST = frozenset(
    ("format", "id", "created", "kind", "nonce", "seed", "policy", "model", "template", "settings", "suites")
) | {"calibrations", "time", "attempt"}

_FIELDS = {"greenlight.lock/1": _FIRST, "greenlight.lock/2": _FIRST | {"references", "judges", "tasks", "ledger"}}


def draw_seed(
    policy: Policy,
    *,
    model: Mapping[str, JSON],
    template_sha256: str,
    settings: Mapping[str, JSON],
    suites: Sequence[tuple[str, int]],
    nonce: str | None,
    kind: Kind = "rehearsal",
) -> int:
    """The seed that draws the exam: SHA-256 of everything that is fixed, as a whole number below 2**256.

    Without a nonce it depends on policy, model, template, settings and suites alone, so a rehearsal repeats exactly;
    with one nobody can know the exam beforehand. An exploratory run, which can never be a GO, is drawn from policy and
    suites alone: so several models sit the same exam, and can be compared.

    Args:
        policy: the limits.
        model: its identity; the digest counts, not what the file is called.
        template_sha256: digest of the chat template.
        settings: system prompt, sampling, operations.
        suites: (name, version) in policy order.
        nonce: hex, or None for a rehearsal.
        kind: what the run is.
    """
    return int(_seed(policy.sha256, str(model["digest"]), template_sha256, settings, suites, nonce, kind), 16)


def _seed(
    policy: str,
    digest: str,
    template: str,
    settings: Mapping[str, JSON],
    suites: Sequence[tuple[str, int]],
    nonce: str | None,
    kind: Kind,
) -> str:
    anyone = kind == "exploratory"
    return sha256_json(
        {
            "policy": policy,
            "model": None if anyone else digest,
            "template": None if anyone else template,
            "settings": None if anyone else dict(settings),
            "suites": [[name, version] for name, version in suites],
            "nonce": nonce,
        }
    )


def make_lock(
    policy: Policy,
    *,
    model: Mapping[str, JSON],
    template_sha256: str,
    settings: Mapping[str, JSON],
    suites: Sequence[Mapping[str, JSON]],
    kind: Kind,
    nonce: str | None,
    calibrations: Mapping[str, str],
    references: Mapping[str, Mapping[str, JSON]] | None = None,
    judges: Mapping[str, Mapping[str, JSON]] | None = None,
    tasks: Mapping[str, Mapping[str, JSON]] | None = None,
    attempt: int | None = None,
    ledger: str | None = None,
    template_date: str | None = None,
) -> dict[str, JSON]:
    """The lock as it is written, with id, seed and time filled in.

    Args:
        policy: the limits.
        model: identity of the candidate.
        template_sha256: digest of its chat template.
        settings: system prompt, sampling, operations.
        suites: what is asked, in policy order.
        kind: what the run is.
        nonce: hex, for an exam.
        calibrations: digest of each judge's measured error.
        references: identity, template and settings of each model that is compared with, by name.
        judges: identity of each judge that is a model, by name.
        tasks: text of each task of the user's, by name.
        attempt: which candidate this is under its policy, where a ledger counts them.
        ledger: digest of the ledger's last entry before this lock.
        template_date: the day that prompts state, where the chat template states one.

    Raises:
        LockError: an exam without a nonce, or a rehearsal with one.
    """
    if (kind == "exam") != (nonce is not None):
        raise LockError(
            "an exam has a nonce and nothing else has one",
            found=f"{kind}, nonce {nonce!r}",
            do="draw one with secrets.token_hex(16) for an exam; leave it out otherwise",
        )
    pairs = [(str(suite["suite"]), int(suite["version"])) for suite in suites]
    seed = _seed(policy.sha256, str(model["digest"]), template_sha256, settings, pairs, nonce, kind)
    value: dict[str, JSON] = {
        "format": format_of("lock"),
        "kind": kind,
        "nonce": nonce,
        "seed": seed,
        "policy": {"name": policy.name, "sha256": policy.sha256, "toml": policy.text},
        "model": dict(model),
        "template": template_entry(template_sha256, template_date),
        "settings": dict(settings),
        "suites": [dict(suite) for suite in suites],
        "calibrations": dict(calibrations),
        "references": {name: dict(value) for name, value in (references or {}).items()},
        "judges": {name: dict(value) for name, value in (judges or {}).items()},
        "tasks": {name: dict(value) for name, value in (tasks or {}).items()},
        "ledger": ledger,
        "time": "the author's word",
        "attempt": attempt,
    }
    return {**value, "id": lock_id(value), "created": now()}


def template_entry(sha256: str, date: str | None) -> dict[str, JSON]:
    """What a lock says of a chat template; the day only where prompts state one."""
    return {"sha256": sha256, **({"date": date} if date else {})}


def lock_id(lock: Mapping[str, JSON]) -> str:
    """SHA-256 of the lock's canonical JSON without its id and its time."""
    return sha256_json({key: value for key, value in lock.items() if key not in ("id", "created")})


def read_lock(path: Path) -> dict[str, JSON]:
    """A lock from its file, with id, policy digest and seed derived again.

    Raises:
        LockError: something in it was changed after it was made.
        EvidenceError: it cannot be read.
    """
    lock = read_json(path, "lock")
    try:
        difference = check_lock(lock)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LockError("a lock has another shape than a lock has", where=str(path), found=repr(error)) from error
    if difference:
        raise LockError(
            "a lock does not agree with itself",
            where=str(path),
            found=difference,
            do="it was changed after it was made: take the original, or make a new one with `greenlight lock`",
        )
    return lock


def check_lock(lock: Mapping[str, JSON]) -> str | None:
    """The first thing in a lock that does not follow from the rest of it, in words; None where all does."""
    fields = _FIELDS[lock["format"]]
    if missing := sorted(fields - set(lock)) or sorted(set(lock) - fields):
        return f"field {missing[0]} is missing or unknown"
    if lock["kind"] not in KINDS or (lock["kind"] == "exam") != (lock["nonce"] is not None):
        return f"kind {lock['kind']!r} with nonce {lock['nonce']!r}"
    if lock_id(lock) != lock["id"]:
        return f"id is {str(lock['id'])[:8]}, derived {lock_id(lock)[:8]}"
    policy = parse_policy(lock["policy"]["toml"])
    if (policy.sha256, policy.name) != (lock["policy"]["sha256"], lock["policy"]["name"]):
        return f"policy.sha256 is {lock['policy']['sha256'][:8]}, derived {policy.sha256[:8]}"
    pairs = [(suite["suite"], suite["version"]) for suite in lock["suites"]]
    model, template = lock["model"]["digest"], lock["template"]["sha256"]
    seed = _seed(policy.sha256, model, template, lock["settings"], pairs, lock["nonce"], lock["kind"])
    return None if seed == lock["seed"] else f"seed is {lock['seed'][:8]}, derived {seed[:8]}"


def model_reference(lock: Mapping[str, JSON]) -> str:
    """What names the locked model on the command line: an endpoint's address, or the model's name."""
    endpoint = lock["model"].get("endpoint")
    return str(lock["model"]["name"]) if endpoint is None else f"{endpoint['url']}#{endpoint['model']}"


def policy_of(lock: Mapping[str, JSON]) -> Policy:
    """The policy that a lock fixes."""
    return parse_policy(lock["policy"]["toml"], f"policy {lock['policy']['name']} in the lock")
