"""C9: a connection over the network that would not notice that the other side is gone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Fix, Threshold

_HERE: Final = ("", "localhost", "127.0.0.1", "::1")
_WANTED: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
_SYSTEM_S: Final = 7200
"""What Linux, macOS and Windows wait by themselves before they ask whether an idle connection lives."""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when the DSN goes over the network and leaves the time until a dead connection is noticed open."""
    host, dsn = seen.facts.host, seen.facts.dsn
    # A socket has no network; between two ends on one machine no packet is lost.
    if host.startswith(("/", "@")) or host in _HERE:
        return
    idle_s = int(dsn.get("keepalives_idle", "0")) or _SYSTEM_S
    off = dsn.get("keepalives", "1") == "0"
    unset = [
        name for name in _WANTED if int(dsn.get(name, "0")) == 0 and name in ("keepalives_idle", "tcp_user_timeout")
    ]
    severity = seen.limits["limit"].judge(float("inf") if off else idle_s)
    if severity is None and "tcp_user_timeout" not in unset:
        return
    yield Finding(
        severity or "warn",
        f"connections to {host} notice only after {'any time' if off else f'{idle_s} s'} that the other side is gone"
        if severity
        else f"statements sent to {host} wait for minutes when the network goes away: tcp_user_timeout is not set",
        {
            "host": host,
            "keepalives": not off,
            **{name: int(dsn.get(name, "0")) or None for name in _WANTED},
            "server_tcp_keepalives_idle": seen.facts.settings.text("tcp_keepalives_idle"),
            "server_tcp_user_timeout": seen.facts.settings.text("tcp_user_timeout"),
        },
        "Add the parameters to database.url and database.direct_url.",
        object=host,
        threshold=seen.limits["limit"],
        fix=Fix("E", ("&".join(f"{name}={value}" for name, value in _WANTED.items()),)),
    )


CHECK = Check(
    id="C9",
    group="connections",
    title="Keepalives of the database's connections",
    why="After a lost network or a failover, calls wait on connections that nobody answers, up to two hours when idle.",
    false_positive="Keepalives that were lowered in the kernel of this machine.",
    explain="""\
A machine that vanishes says nothing. TCP notices by itself only after two hours on an idle connection
(keepalives_idle), and after about a quarter of an hour on one with data under way (tcp_user_timeout). Both can be set
in the DSN; this check reads them from the DSN that the doctor itself was given, which is that of the settings.

Servers of Queen have a second line: a call that gets no answer is given up half a second after
database.statement_timeout_ms, and the listener asks when it heard nothing for half a minute.""",
    evaluate=evaluate,
    thresholds={"limit": Threshold(300, None, "s until an idle connection is tried")},
)
