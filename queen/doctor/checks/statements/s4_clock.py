"""S4: the clocks of the database and of this machine differ."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.errors import CannotLook


def evaluate(seen: Seen) -> Iterable[Finding]:
    """A finding when the clocks differ by more than can be the way between them."""
    if seen.clock is None:
        raise CannotLook("the database did not tell its time")
    limit = seen.limits["limit"]
    sure_s = abs(seen.clock.ahead_s) - seen.clock.uncertainty_s
    severity = limit.judge(1000 * sure_s)
    if severity is None:
        return
    word = "ahead of" if seen.clock.ahead_s > 0 else "behind"
    yield Finding(
        severity,
        f"the database's clock is {abs(seen.clock.ahead_s):.2f} s {word} the clock of this machine",
        {
            "ahead_ms": round(1000 * seen.clock.ahead_s, 1),
            "uncertainty_ms": round(1000 * seen.clock.uncertainty_s, 1),
        },
        "Let NTP set both clocks. Leases and schedules are safe meanwhile: they go by the database's clock alone.",
        threshold=limit,
        fix=Fix("E", ("timedatectl set-ntp true", "timedatectl timesync-status"), note="On both machines."),
    )


CHECK = Check(
    id="S4",
    group="statements",
    title="Clock difference",
    why="Times in logs, traces and latency figures of clients cannot be compared, and tokens may be refused.",
    false_positive="This machine's clock is the wrong one, and no server or client of Queen runs on it.",
    explain="""\
The database is asked five times for its time. The question with the shortest way there and back counts; the true
difference lies within half of that way around it, and only what is beyond doubt is judged.

Queen's own times (leases, retries, schedules, retention) are all taken from the database's clock, so a difference
breaks no promise. It spoils what is compared across machines: the end-to-end latency of a message, log lines, and
the expiry of access tokens.""",
    evaluate=evaluate,
    thresholds={"limit": Threshold(250, 2000, "ms")},
)
