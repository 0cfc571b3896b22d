"""S5: limits of the machine: open files, a processor quota that stops processes, a hypervisor that takes time away."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor import needs
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Stake, Threshold
from queen.doctor.probes.host import Host
from queen.errors import CannotLook

_PERIODS_MIN = 10  # a quota is told by periods of a tenth of a second; a few of them say little


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each limit that is felt, or will be."""
    now, before = seen.host, seen.host_before
    if now is None or before is None:
        raise CannotLook("the machine's counters cannot be read")
    yield from _nofile(seen, now)
    yield from _throttled(seen, before, now)
    yield from _steal(seen, before, now)


def _nofile(seen: Seen, now: Host) -> Iterable[Finding]:
    limit = seen.limits["nofile"]
    severity = limit.judge_low(now.nofile) if now.nofile is not None else None
    if severity is not None:
        yield Finding(
            severity,
            f"queen serve may open {now.nofile} files; each connection of a client is one",
            {"nofile": now.nofile},
            "Raise the limit where the server is started, and restart it.",
            object="nofile of queen serve",
            threshold=limit,
            fix=Fix("E", ("ulimit -n 65536", "LimitNOFILE=65536  # in the [Service] part of a systemd unit")),
        )


def _throttled(seen: Seen, before: Host, now: Host) -> Iterable[Finding]:
    limit = seen.limits["throttled"]
    for part, throttle in now.throttles.items():
        then = before.throttles.get(part)
        periods = throttle.periods - then.periods if then else 0
        if then is None or periods < _PERIODS_MIN:
            continue
        share = (throttle.throttled - then.throttled) / periods
        severity = limit.judge(100 * share)
        if severity is not None:
            yield Finding(
                severity,
                f"the processor quota stopped {part} in {100 * share:.0f} % of the periods",
                {"throttled_pct": round(100 * share, 1), "periods": periods, "window_s": round(seen.window_s, 1)},
                "Raise the quota of its container or unit, or lower the load.",
                object=part,
                threshold=limit,
                at_stake=_lost_time(share),
                fix=Fix("E", ("docker update --cpus 4 CONTAINER", "systemctl set-property UNIT CPUQuota=400%")),
            )


def _steal(seen: Seen, before: Host, now: Host) -> Iterable[Finding]:
    limit = seen.limits["steal"]
    span_s = (now.at - before.at) * now.cpus
    share = (now.steal_s - before.steal_s) / span_s if span_s > 0 else 0.0
    severity = limit.judge(100 * share)
    if severity is not None:
        yield Finding(
            severity,
            f"the hypervisor gave {100 * share:.0f} % of this machine's processor time to others",
            {"steal_pct": round(100 * share, 1), "cpus": now.cpus, "window_s": round(seen.window_s, 1)},
            "Move to a host that is less busy, or to a machine with processors of its own.",
            object="processor",
            threshold=limit,
            at_stake=_lost_time(share),
        )


def _lost_time(share: float) -> Stake:
    """Whoever is stopped for a share of the time can do at most 1 / (1 - share) - 1 more without it."""
    part = min(share, 0.95)
    return Stake("bound", 0.0, round(100 * (1 / (1 - part) - 1), 1), "wait share", time_share=part)


CHECK = Check(
    id="S5",
    group="statements",
    title="Limits of the machine",
    why="A stopped process holds its locks and leases meanwhile; a server out of file descriptors refuses clients.",
    false_positive="A neighbour's burst, or a backup, inside the window.",
    explain="""\
Three limits that look like a slow database. The soft limit of open files of queen serve, when it runs here: every
connection of a client takes one. The processor quota of a container or unit (cgroup cpu.stat): in a throttled period
its processes stand still for the rest of a tenth of a second, whatever they hold. And steal: processor time that the
hypervisor gave to other machines.

Throttling and steal are differences over the window.""",
    evaluate=evaluate,
    thresholds={
        "nofile": Threshold(8192, 1024, "files"),
        "throttled": Threshold(5, 25, "% of periods"),
        "steal": Threshold(5, 25, "% of processor time"),
    },
    needs=(needs.local,),
    delta=True,
)
