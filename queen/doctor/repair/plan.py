"""Which repairs a report offers, which of them may be made now, and why not the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from queen.doctor.facts import Facts
from queen.doctor.finding import FixClass
from queen.doctor.repair.provider import parameter_lines, provider
from queen.doctor.report import Ranked
from queen.doctor.system import identifier

Leave = Literal["reload", "restart"]
_NEEDS: Final[dict[FixClass, Leave]] = {"B": "reload", "C": "restart"}


@dataclass(frozen=True, slots=True)
class Step:
    """One repair: statements, each a transaction of its own, and those that take it back as its check knows them."""

    check: str
    object: str | None
    summary: str
    kind: FixClass
    apply: tuple[str, ...]
    undo: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """A repair that is not made, and why. `lines`: what to write elsewhere."""

    step: Step
    reason: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Consent:
    """What the user allowed. `ids`: only these checks, all when empty. `yes`: also what cannot be taken back, of checks
    that are named by their whole id."""

    ids: frozenset[str] = field(default_factory=frozenset)
    allow: frozenset[Leave] = field(default_factory=frozenset)
    yes: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, in rank order, and what is left."""

    steps: tuple[Step, ...]
    left: tuple[Left, ...]


def make_plan(ranked: Sequence[Ranked], consent: Consent, facts: Facts | None) -> Plan:
    """The plan for these findings. A statement that two findings ask for is made once."""
    steps: list[Step] = []
    left: list[Left] = []
    for step in _unique(_steps(ranked)):
        why = _why_not(step, consent, facts)
        if why is None:
            steps.append(step)
        else:
            left.append(why)
    return Plan(tuple(steps), tuple(left))


def _steps(ranked: Iterable[Ranked]) -> Iterable[Step]:
    for one in ranked:
        fix = one.finding.fix
        if fix is not None and fix.apply:
            yield Step(
                one.result.id, one.finding.object, one.finding.summary, fix.kind, fix.apply, fix.undo, fix.note
            )  # fmt: skip


def _unique(steps: Iterable[Step]) -> Iterable[Step]:
    seen: set[tuple[str, ...]] = set()
    for step in steps:
        if step.apply not in seen:
            seen.add(step.apply)
            yield step


def _why_not(step: Step, consent: Consent, facts: Facts | None) -> Left | None:
    if step.kind == "E":
        return Left(step, "outside PostgreSQL: for you to do", step.apply)
    if step.kind == "D" and not (consent.yes and step.check in consent.ids):
        return Left(step, f"needs your consent: queen doctor --fix {step.check} --yes")
    if step.kind not in _NEEDS:
        return None
    managed = provider(facts) if facts else None
    if managed is not None:
        return Left(step, f"set it in the parameter group of {managed}", parameter_lines(step.apply))
    if facts is not None and not facts.may_alter_system:
        return Left(step, f"role {facts.role} may not ALTER SYSTEM", _grants(step, facts))
    needed = _NEEDS[step.kind]
    if needed not in consent.allow:
        return Left(step, f"needs a {needed}: add --allow {needed}")
    return None


def _grants(step: Step, facts: Facts) -> tuple[str, ...]:
    """What an administrator runs: from 15 on a right for the role, and in any case the statements themselves."""
    names = [line.split(" = ")[0] for line in parameter_lines(step.apply)]
    if facts.version >= 150000 and names:
        return (f"GRANT ALTER SYSTEM ON PARAMETER {', '.join(names)} TO {identifier(facts.role)};", *step.apply)
    return step.apply
