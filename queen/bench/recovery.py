"""What a fault did to the rate and the latency, told from the series of a run. Pure.

Words: the *baseline* is the mean rate of the seconds before; *recovered* is the first second after the fault's end
from which the mean of three seconds stays at 95 % of it for at least three seconds; *later* is what follows that.
It knows neither how the fault was done nor where the numbers come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import msgspec

from queen.bench.chaos import BASELINE_S
from queen.bench.faults import Struck
from queen.bench.result import FaultReport

BASELINE_MAX_S = 15.0
"""Older seconds may belong to another time."""

RECOVERED_SHARE = 0.95
WINDOW_S = 3
EQUAL_SHARE = 0.10
DECAY_MIN_S = 10
RATE_DECAY = 0.10
P99_DECAY = 0.25
P99_DECAY_MIN_MS = 2.0


@dataclass(frozen=True, slots=True)
class Track:
    """Values of whole seconds since the begin of measuring, one a second. None: not measured."""

    delivered: Sequence[float | None]
    p99_ms: Sequence[float | None]

    def rates(self, begin_s: float, end_s: float) -> list[float]:
        """Of the seconds that lie whole between the two; a second without deliveries is 0."""
        return [self.delivered[second] or 0.0 for second in _seconds(begin_s, end_s, len(self.delivered))]

    def p99(self, begin_s: float, end_s: float) -> float | None:
        """The median of the seconds' p99."""
        values = [self.p99_ms[second] for second in _seconds(begin_s, end_s, len(self.p99_ms))]
        known = [value for value in values if value is not None]
        return median(known) if known else None


def _seconds(begin_s: float, end_s: float, length: int) -> range:
    return range(max(0, -int(-begin_s // 1)), min(length, int(end_s // 1)))


def assess(
    name: str,
    begin_s: float,
    end_s: float,
    track: Track,
    *,
    before_s: float = 0.0,
    until_s: float | None = None,
    affected: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
) -> FaultReport:
    """The report of one fault. Seconds count from the begin of measuring.

    `before_s`: from when on the baseline may be taken, the recovery from the fault before; `until_s`: the begin of
    the next fault, or the end of measuring. `affected`: messages by class, as the ledger and the workers count them.
    """
    last_s = float(len(track.delivered)) if until_s is None else until_s
    baseline = _baseline(track, max(before_s, begin_s - BASELINE_MAX_S), begin_s)
    recovered = None if baseline is None else _recovered_at(track, end_s, last_s, baseline)
    dip = track.rates(int(begin_s), (recovered if recovered is not None else last_s) + 1)
    later = [] if recovered is None else track.rates(recovered, last_s)
    steady = len(later) >= BASELINE_S
    early_p99 = track.p99(max(before_s, begin_s - BASELINE_MAX_S), begin_s)
    later_p99 = track.p99(recovered, last_s) if recovered is not None and steady else None
    later_rate = fmean(later) if steady else None
    return FaultReport(
        name=name,
        at_s=begin_s,
        end_s=end_s,
        baseline_per_s=baseline,
        dip_per_s=min(dip, default=None),
        recovery_s=None if recovered is None else max(0.0, recovered - end_s),
        later_per_s=later_rate,
        later_equals_earlier=_equal(baseline, later_rate, early_p99, later_p99),
        baseline_p99_ms=early_p99,
        later_p99_ms=later_p99,
        affected=dict(affected or {}),
        notes=[*notes, *_notes(name, begin_s, end_s, track, baseline, affected or {})],
    )


def reports(
    struck: Sequence[Struck],
    track: Track,
    affected: Callable[[float, float], Mapping[str, int]],
    *,
    clock_s: float = 0.0,
) -> list[FaultReport]:
    """The reports of all faults of a run, in the order of their begins.

    `affected(begin_s, end_s)`: messages by class (`unknown`, `refused`, `redelivered`, `ack_refused`, …) from the
    begin of a fault until its recovery, or until the next one. `clock_s`: where measuring begins on the run's clock, on
    which the reports are.
    """
    found: list[FaultReport] = []
    ordered = sorted(struck, key=lambda one: one.begin_s)
    before_s = 0.0
    for place, one in enumerate(ordered):
        next_s = [other.begin_s for other in ordered[place + 1 :] if other.begin_s >= one.end_s]
        until_s = min(next_s, default=float(len(track.delivered)))
        classes = affected(one.begin_s, until_s)
        report = assess(
            one.fault.name,
            one.begin_s,
            one.end_s,
            track,
            before_s=before_s,
            until_s=until_s,
            affected=classes,
            notes=told(one, classes),
        )
        before_s = max(before_s, one.end_s + (report.recovery_s or 0.0))
        found.append(msgspec.structs.replace(report, at_s=one.begin_s + clock_s, end_s=one.end_s + clock_s))
    return found


def told(struck: Struck, affected: Mapping[str, int]) -> list[str]:
    """What a reader must know of how the fault went."""
    if struck.failed is not None:
        return [f"it could not be done: {struck.failed}"]
    marks, name = struck.marks, struck.fault.name
    errors = affected.get("unknown", 0) + affected.get("refused", 0)
    found = []
    if name in ("kill-server", "drain-server") and not marks.get("other_servers"):
        found.append("it was the only server, so clients could not connect until it was back")
    if name == "drain-server" and marks.get("other_servers") and errors:
        found.append(f"clients saw {errors} errors, though another server was there")
    if name == "drain-server" and marks.get("exit_code"):
        found.append(f"the server did not end in order: exit code {marks['exit_code']:.0f}")
    if name == "pin-xmin" and not marks.get("held"):
        found.append("the pinning session was ended before its time")
    hidden = {"begin_s", "end_s", "ready_s", "exit_code", "other_servers"}
    facts = ", ".join(f"{key} {value:g}" for key, value in marks.items() if key not in hidden)
    return [*found, facts] if facts else found


def _baseline(track: Track, begin_s: float, end_s: float) -> float | None:
    rates = track.rates(begin_s, end_s)
    mean = fmean(rates) if len(rates) >= int(BASELINE_S) else 0.0
    return mean or None


def _recovered_at(track: Track, end_s: float, last_s: float, baseline: float) -> float | None:
    """The first moment from the fault's end on at which the rate is back to stay. The second in which the fault ended
    counts with what it has: had the rate never fallen, recovery takes no time."""
    last = min(len(track.delivered), int(last_s))
    for second in range(int(end_s), last - 2 * WINDOW_S + 2):
        means = [fmean(track.rates(start, start + WINDOW_S)) for start in range(second, second + WINDOW_S)]
        if all(mean >= RECOVERED_SHARE * baseline for mean in means):
            return max(float(second), end_s)
    return None


def _equal(rate: float | None, later: float | None, p99: float | None, later_p99: float | None) -> bool | None:
    """Rate within 10 %, and p99 no more than 10 % above: a better one is no harm. None: not enough was measured."""
    if rate is None or later is None:
        return None
    if abs(later / rate - 1) > EQUAL_SHARE:
        return False
    return p99 is None or later_p99 is None or later_p99 <= p99 * (1 + EQUAL_SHARE)


def _notes(
    name: str, begin_s: float, end_s: float, track: Track, baseline: float | None, affected: Mapping[str, int]
) -> list[str]:
    found = []
    if baseline is None:
        found.append(f"no baseline: fewer than {BASELINE_S:g} undisturbed seconds before it")
    if name in ("pin-xmin", "readers"):
        found += decay(track, begin_s, end_s)
    if name == "stall-consumer" and not affected.get("ack_refused"):
        found.append("no late ack was refused: the stall did not outlast a lease, or the fence did not hold")
    return found


def decay(track: Track, begin_s: float, end_s: float) -> list[str]:
    """Whether rate and p99 got worse while the fault lasted, one sentence each; empty when they stayed."""
    rates = track.rates(begin_s, end_s)
    if len(rates) < DECAY_MIN_S:
        return [f"too short to tell a decay: {DECAY_MIN_S} s are needed"]
    found = []
    first, last = _line(rates)
    if first > 0 and last < first * (1 - RATE_DECAY):
        found.append(f"the rate decayed while it lasted: {first:.0f} → {last:.0f} msg/s")
    seconds = _seconds(begin_s, end_s, len(track.p99_ms))
    p99 = [value for value in (track.p99_ms[second] for second in seconds) if value is not None]
    if len(p99) >= DECAY_MIN_S:
        first, last = _line(p99)
        if last - max(first, 0) > max(P99_DECAY_MIN_MS, P99_DECAY * max(first, 0)):
            found.append(f"p99 grew while it lasted: {max(first, 0):.1f} → {last:.1f} ms")
    return found


def _line(values: Sequence[float]) -> tuple[float, float]:
    """First and last value of the straight line through them, by the median of all slopes: one bad second does not
    turn it."""
    step = max(1, len(values) // 120)  # at most 120 points, or a long fault would have millions of pairs
    points = list(enumerate(values))[::step]
    slopes = [(y - b) / (x - a) for i, (a, b) in enumerate(points) for x, y in points[i + 1 :]]
    slope = median(slopes) if slopes else 0.0
    start = median(y - slope * x for x, y in points)
    return start, start + slope * (len(values) - 1)
