"""What should go wrong during a run, and when: the text of `--chaos` becomes a schedule.

One fault is `name[@START][+LENGTH][xN]`, several stand between commas: `restart-pg@60s,pin-xmin@120s+60s`. START counts
from the beginning of measuring. Knows the faults by name and what each needs, but not how they are done
(`queen.bench.faults`) and not what they did (`recovery`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from queen.bench.fault_kinds import KINDS, NOT_BUILT, Kind
from queen.errors import ConsentNeeded, SettingsError
from queen.units import parse_duration_ms

BASELINE_S: Final = 5.0
"""What must have been measured before a fault, so that there is something to compare with."""

RECOVERY_S: Final = 10.0
"""What must be left after the end of a fault, to see whether and how fast the rate comes back."""

STRENGTH_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come. Seconds count from the beginning of measuring."""

    name: str
    start_s: float
    length_s: float
    strength: int = 0

    @property
    def end_s(self) -> float:
        return self.start_s + self.length_s

    @property
    def text(self) -> str:
        """In the grammar, with nothing left out."""
        times = f"x{self.strength}" if self.strength else ""
        return f"{self.name}@{self.start_s:g}s+{self.length_s:g}s{times}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Faults in the order of their starts."""

    faults: tuple[Fault, ...]

    @property
    def needs_s(self) -> float:
        """How long measuring must take at least; 0 without faults."""
        return max((fault.end_s for fault in self.faults), default=-RECOVERY_S) + RECOVERY_S


_PART: Final = re.compile(r"(?P<name>[^@+]+)(?:@(?P<start>[^@+]+))?(?:\+(?P<length>[^@+]+))?")
_STRENGTH: Final = re.compile(r"(?P<part>.+[^-])x(?P<number>[0-9]+)")
"""The x of a name, as in pin-xmin, is followed by no number."""


def parse(text: str, measure_s: float | None = None, *, lease_s: float = 60) -> Schedule:
    """The schedule that `text` asks for.

    `measure_s`: how long will be measured; None: as long as it takes, which `Schedule.needs_s` then says. A fault
    without START begins a third of the way; several share the time evenly. Without `measure_s` each begins when the
    one before it has ended and had time to recover. Raises SettingsError for what is unknown, cannot be done here,
    makes no sense at once, or does not fit into the measured time.
    """
    parts = [_part(part.strip(), lease_s) for part in text.split(",")]
    faults = tuple(sorted(_place(parts, measure_s), key=lambda fault: fault.start_s))
    schedule = Schedule(faults)
    _check_overlaps(faults)
    _check_room(schedule, measure_s)
    return schedule


def _part(text: str, lease_s: float) -> tuple[str, float | None, float, int]:
    """(name, start, length, strength) of one fault; start None: left out."""
    times = _STRENGTH.fullmatch(text)
    match = _PART.fullmatch(times["part"] if times else text)
    if match is None:
        raise SettingsError(
            f"--chaos: {text!r} is no fault",
            hint="write name@START+LENGTHxN, such as pin-xmin@120s+60s or readers@1m+30sx4",
        )
    kind = _kind(match["name"].strip())
    length = _seconds(match["length"], text) if match["length"] else _usual_length(kind, lease_s)
    if kind.name == "stall-consumer" and length <= lease_s:
        raise SettingsError(f"--chaos: {text}: a stall must outlast the lease of {lease_s:g} s")
    start = _seconds(match["start"], text) if match["start"] else None
    if start is not None and start < BASELINE_S:
        raise SettingsError(
            f"--chaos: {text} starts too early: at least {BASELINE_S:g} s are measured before a fault, to compare with"
        )
    return kind.name, start, length, _strength(kind, int(times["number"]) if times else None, text)


def _usual_length(kind: Kind, lease_s: float) -> float:
    return lease_s * 1.2 + 1 if kind.name == "stall-consumer" else kind.length_s


def _kind(name: str) -> Kind:
    if name in KINDS:
        return KINDS[name]
    known = f"faults: {', '.join(KINDS)}"
    if name in NOT_BUILT:
        raise SettingsError(f"--chaos: {name} is not built here: {NOT_BUILT[name]}", hint=known)
    near = difflib.get_close_matches(name, [*KINDS, *NOT_BUILT], n=1)
    offer = f"; did you mean {near[0]}?" if near else ""
    raise SettingsError(f"--chaos: no fault is named {name!r}{offer}", hint=known)


def _seconds(text: str, part: str) -> float:
    try:
        return parse_duration_ms(text, plain_unit="s") / 1000
    except ValueError as error:
        raise SettingsError(f"--chaos: {part}: {text!r} is {error}") from error


def _strength(kind: Kind, number: int | None, part: str) -> int:
    if number is None:
        return kind.strength or 0
    if kind.strength is None:
        raise SettingsError(f"--chaos: {part}: {kind.name} takes no xN")
    if not 1 <= number <= STRENGTH_MAX:
        raise SettingsError(f"--chaos: {part}: N is {kind.strength_means}, from 1 to {STRENGTH_MAX}")
    return number


def _place(parts: Sequence[tuple[str, float | None, float, int]], measure_s: float | None) -> list[Fault]:
    """Gives a start to those that have none."""
    unplaced = sum(start is None for _, start, _, _ in parts)
    placed, number, free_s = [], 0, RECOVERY_S
    for name, start, length, strength in parts:
        if start is None:
            number += 1
            start = free_s if measure_s is None else max(BASELINE_S, measure_s * number / (unplaced + 2))
        placed.append(Fault(name, start, length, strength))
        free_s = max(free_s, start + length + RECOVERY_S)
    return placed


def _check_overlaps(faults: Sequence[Fault]) -> None:
    for place, one in enumerate(faults):
        for other in faults[place + 1 :]:
            apart = other.name in KINDS[one.name].apart_from or one.name in KINDS[other.name].apart_from
            if apart and other.start_s <= one.end_s:
                raise SettingsError(
                    f"--chaos: {one.text} and {other.text} overlap, and each would undo or hide the other",
                    hint=f"start {other.name} later than {one.end_s:g}s",
                )


def _check_room(schedule: Schedule, measure_s: float | None) -> None:
    if measure_s is not None and schedule.needs_s > measure_s:
        raise SettingsError(
            f"--chaos: the last fault ends at {schedule.needs_s - RECOVERY_S:g} s and {RECOVERY_S:g} s must follow, "
            f"but only {measure_s:g} s are measured",
            hint=f"measure for {schedule.needs_s:g}s or longer",
        )


def check_allowed(
    schedule: Schedule, *, own_server: bool, own_database: bool, dsn_known: bool, consent: bool = False
) -> None:
    """Whether the faults may be done to this target. Raises SettingsError where the means are missing, ConsentNeeded
    where others would be harmed."""
    for fault in schedule.faults:
        kind = KINDS[fault.name]
        if kind.harms_server and not own_server:
            raise ConsentNeeded(
                f"--chaos {fault.name} ends a server, and this one is not the bench's own",
                hint="leave --url out: the bench then starts servers of its own",
            )
        if kind.needs_database and not dsn_known:
            raise SettingsError(f"--chaos {fault.name} needs the database", hint="name it with --database-url")
        if kind.restarts_database and not own_database:
            raise ConsentNeeded(
                f"--chaos {fault.name} restarts PostgreSQL, and this one is not the bench's own",
                hint="leave --url and --database-url out: the bench then starts a PostgreSQL of its own",
            )
        if kind.harms_database and not own_database and not consent:
            raise ConsentNeeded(
                f"--chaos {fault.name} would harm others that use this database: {kind.about}",
                hint="leave --url and --database-url out, or give your consent",
            )
