"""What a check is: what it asks, what it needs, and a pure function from what was seen to findings.

A check is one file below `checks/`, in the folder of its group, with a constant `CHECK`; nothing else names it. Its SQL
stands in that file, beside the judgement that reads it, and runs on every PostgreSQL from 14 on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from queen.doctor.facts import Facts
from queen.doctor.finding import Finding, Threshold
from queen.doctor.needs import Need
from queen.doctor.needs import NotSeen as NotSeen
from queen.doctor.probes.clock import Clock
from queen.doctor.probes.host import Host
from queen.doctor.probes.pooler import Pooler
from queen.doctor.probes.server import ServerSample
from queen.doctor.probes.waits import Waits
from queen.store.inspect import Row

GROUPS: Final[Mapping[str, str]] = {
    "vacuum": "vacuum and MVCC",
    "indexes": "indexes",
    "connections": "connections and poolers",
    "locks": "locks and waits",
    "wal": "WAL, checkpoints, replication",
    "memory": "memory and planner",
    "statements": "statements, capacity, host",
    "queues": "queue semantics",
}
"""Folder of `checks/` → heading, in the order of the report."""


@dataclass(frozen=True, slots=True)
class Query:
    """One read. `since`: other texts for newer servers by version number, such as {170000: "..."}; the highest that is
    not above the server's counts. `{schema}` stands for Queen's schema. Two checks with the same text share one answer.
    `optional`: where PostgreSQL refuses it there are no rows, and the check goes on without them.
    """

    text: str
    since: Mapping[int, str] = field(default_factory=dict)
    min_version: int = 140000
    optional: bool = False

    def text_for(self, version: int) -> str:
        """The text for a server of this version."""
        fitting = [number for number in self.since if number <= version]
        return self.since[max(fitting)] if fitting else self.text


@dataclass(frozen=True, slots=True)
class Seen:
    """All that `evaluate` may know. `first` and `second` hold the rows of the check's queries by name, taken
    `window_s` seconds apart; for a check without `delta` they are the same."""

    facts: Facts
    limits: Mapping[str, Threshold]
    first: Mapping[str, list[Row]]
    second: Mapping[str, list[Row]]
    window_s: float
    waits: Waits
    server: ServerSample | None = None
    server_before: ServerSample | None = None
    host: Host | None = None
    host_before: Host | None = None
    clock: Clock | None = None
    pooler: Pooler | None = None
    deep: bool = False
    memos: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Of earlier runs, from the user's baseline file, by check."""

    def rows(self, name: str) -> list[Row]:
        """The latest rows of a query."""
        return self.second[name]

    def row(self, name: str) -> Row:
        """The only row of a query; empty when there is none."""
        return self.second[name][0] if self.second[name] else {}

    def changes(self, name: str, key: str | tuple[str, ...], *counters: str) -> list[Row]:
        """The latest rows with, for each counter, the growth since the first sample in its place. Rows that are new or
        whose counter went back (a reset) are left out."""
        keys = (key,) if isinstance(key, str) else key
        before = {tuple(row[part] for part in keys): row for row in self.first[name]}
        found = []
        for row in self.second[name]:
            old = before.get(tuple(row[part] for part in keys))
            if old is None:
                continue
            grown = {counter: (row[counter] or 0) - (old[counter] or 0) for counter in counters}
            if all(value >= 0 for value in grown.values()):
                found.append({**row, **grown})
        return found


Evaluate = Callable[[Seen], Iterable[Finding]]
"""Raises CannotLook when what was seen is too little to judge by: then the check is skipped, with `hint` as the line
that would enable it."""


@dataclass(frozen=True, slots=True)
class Memo:
    """What a baseline file keeps of a check beside its findings: entries of this msgspec `shape`, and what makes them
    from what was seen. Later runs find them in `Seen.memos`."""

    shape: type[Any]
    take: Callable[[Seen], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of the catalogue.

    `thresholds` are by name, the main one is called "limit"; `--threshold ID.NAME=WARN,CRIT` changes them. `explain` is
    the long text of `--explain ID`: what is looked at, what it means, what to do, in a few short paragraphs. `why` says
    in one sentence why it matters for a queue. `delta`: its queries are read twice, a window apart.
    """

    id: str
    group: str
    title: str
    why: str
    false_positive: str
    explain: str
    evaluate: Evaluate
    queries: Mapping[str, Query] = field(default_factory=dict)
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    delta: bool = False
    memo: Memo | None = None
