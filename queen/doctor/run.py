"""One run, in stages: connect, facts, first sample, static checks, window, second sample, judge, rank.

Cheap and bounded: one read-only session without a transaction open, each statement two seconds at most, the whole
three seconds and the window. Knows no check by name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from queen.doctor.check import Check, Query, Seen
from queen.doctor.facts import Facts, gather
from queen.doctor.finding import Result, Threshold
from queen.doctor.judge import Answer, judge, missing, skipped
from queen.doctor.needs import Ground, Missing
from queen.doctor.probes import clock, host, pooler, server, waits
from queen.doctor.report import Report, saturated, together, verdict_of
from queen.doctor.window import WINDOW_S
from queen.errors import CannotLook
from queen.measure.processes import own_cpu_s
from queen.store.inspect import Inspector

BUDGET_S: Final = 3.0
"""Statements of a run may take this long beside the window; what does not fit is skipped and says so."""

_CPU_WINDOW_MIN_S: Final = 0.5  # the kernel counts in hundredths of a second

OnStage = Callable[[str, float], None]
"""Told the name of each stage as it begins, and the seconds it will wait."""
_TwoSamples = tuple[Mapping[str, Answer], Mapping[str, Answer]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a run is to look at. `url`: a Queen server. `pooler_admin`: the admin console of a pooler, as a URL.
    `thresholds`: by "ID.name", in place of the defaults. `memos`: of a baseline file, by check."""

    dsn: str
    checks: Sequence[Check]
    schema: str = "queen"
    url: str | None = None
    window_s: float = WINDOW_S
    deep: bool = False
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    pooler_admin: str | None = None
    memos: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def run(ask: Ask, on_stage: OnStage = lambda _name, _seconds: None) -> Report:
    """Make one run. Raises StoreUnavailable, AccessDenied when the database is not reached or goes away."""
    on_stage("connect", 0.0)
    with Inspector(ask.dsn, ask.schema) as inspector:
        return _Run(ask, inspector, on_stage).report()


class _Run:
    """The state of one run: what was asked for, what was seen so far."""

    def __init__(self, ask: Ask, inspector: Inspector, on_stage: OnStage) -> None:
        self._ask = ask
        self._inspector = inspector
        self._on_stage = on_stage
        self._stages: dict[str, float] = {}
        self._server_pid: int | None = None  # 0: it was looked for and is not on this machine
        self._sampled_s = 0.0  # busy time inside the window, which the budget does not count

    def report(self) -> Report:
        """All stages, in order."""
        facts = self._stage("facts", lambda: gather(self._inspector))
        if facts.backend_pid == facts.protocol_pid:
            self._inspector.keep_plans()
        ground = self._ground(facts)
        gone = {check.id: missing(check, ground) for check in self._ask.checks}
        able = [check for check in self._ask.checks if gone[check.id] is None]
        moving = [check for check in able if check.delta]
        difference = clock.look(self._inspector)
        first_host = self._look_at_host(facts)
        first = self._stage("first sample", lambda: self._sample(moving, facts, twice_only=True))
        static = [check for check in able if not check.delta]
        still = self._stage("static checks", lambda: self._sample(static, facts, first))
        seen_waits = self._stage("window", lambda: self._wait(bool(moving)))
        once = [query.text_for(facts.version) for check in moving for query in check.queries.values() if query.once]
        asked = {text: still[text] for text in once if text in still}
        second = self._stage("second sample", lambda: self._sample(moving, facts, asked))
        if moving:
            self._skip_moved(gone, facts)
        base = replace(self._base(ground, seen_waits, again=bool(moving)), clock=difference, host_before=first_host)
        return self._finish(self._judged(base, gone, (still, still), (first, second)), base)

    def _ground(self, facts: Facts) -> Ground:
        own_server = self._stage("server", self._look_at_server)
        own_pooler = pooler.look(facts, self._ask.pooler_admin)
        if own_server is not None and server.is_of_another(own_server, self._inspector, facts):
            return Ground(facts, None, own_pooler, self._ask.deep, self._ask.window_s, stranger=own_server.url)
        return Ground(facts, own_server, own_pooler, self._ask.deep, self._ask.window_s)

    def _skip_moved(self, gone: dict[str, Missing | None], facts: Facts) -> None:
        """What compares two samples is skipped when they cannot be compared."""
        why = _moved(facts, self._inspector)
        if why is not None:
            gone |= {check.id: gone[check.id] or why for check in self._ask.checks if check.delta}

    def _base(self, ground: Ground, seen_waits: waits.Waits, *, again: bool) -> Seen:
        """All that every check may know; what is its own is added when it is judged. `again`: the server too is looked
        at a second time."""
        return Seen(
            facts=ground.facts,
            limits={},
            first={},
            second={},
            window_s=self._stages["window"] + self._stages["second sample"] / 2,
            waits=seen_waits,
            server=self._look_at_server() if again and ground.server else ground.server,
            server_before=ground.server,
            host=self._look_at_host(ground.facts),
            pooler=ground.pooler,
            deep=self._ask.deep,
            memos=self._ask.memos,
        )

    def _judged(
        self, base: Seen, gone: Mapping[str, Missing | None], still: _TwoSamples, moving: _TwoSamples
    ) -> tuple[Result, ...]:
        """The result of each check, in the order of the catalogue."""
        results = []
        for check in self._ask.checks:
            why = gone[check.id]
            samples = moving if check.delta else still
            results.append(skipped(check, why) if why else judge(check, base, self._limits(check), *samples))
        return tuple(results)

    def _finish(self, results: tuple[Result, ...], seen: Seen) -> Report:
        longest = max((seen.waits.share(wait) for wait in seen.waits.by_wait if wait != "CPU"), default=0.0)
        return Report(
            results=results,
            verdict=verdict_of(results),
            together_pct=together(results),
            busy=saturated(longest if seen.waits.busy >= 1 else 0.0, _cpu_share(seen), _pool_share(seen)),
            window_s=round(self._stages["window"], 3),
            stages=self._stages,
            about=_about(seen),
            statements=self._inspector.statements,
            busy_s=round(self._inspector.busy_s - self._sampled_s, 3),
            database_cpu_s=_database_cpu_s(seen.facts),
            facts=seen.facts,
        )

    def _limits(self, check: Check) -> dict[str, Threshold]:
        return {name: self._ask.thresholds.get(f"{check.id}.{name}", own) for name, own in check.thresholds.items()}

    def _sample(
        self,
        checks: Iterable[Check],
        facts: Facts,
        known: Mapping[str, Answer] = MappingProxyType({}),
        *,
        twice_only: bool = False,
    ) -> dict[str, Answer]:
        """The rows of every different text of these checks, or why there are none. `known`: what was asked already.
        `twice_only`: without those that are asked once."""
        answers = dict(known)
        for query in (query for check in checks for query in check.queries.values()):
            text = query.text_for(facts.version)
            if text not in answers and not (twice_only and query.once):
                answers[text] = self._answer(query, text, facts, again=twice_only)
        return answers

    def _answer(self, query: Query, text: str, facts: Facts, *, again: bool) -> Answer:
        if facts.version < query.min_version:
            return CannotLook(f"needs PostgreSQL {query.min_version // 10_000}", kind="missing")
        if self._inspector.busy_s - self._sampled_s > BUDGET_S:
            return CannotLook(f"the run's time of {BUDGET_S:.0f} s was used up", kind="timeout")
        try:
            return self._inspector.rows(text, again=again)
        except CannotLook as error:
            return [] if query.optional else error

    def _wait(self, needed: bool) -> waits.Waits:
        if not needed:
            return waits.Waits()
        before = self._inspector.busy_s
        try:
            return waits.sample(self._inspector, self._ask.window_s)
        except CannotLook:
            return waits.Waits()
        finally:
            self._sampled_s += self._inspector.busy_s - before

    def _look_at_server(self) -> server.ServerSample | None:
        return server.look(self._ask.url) if self._ask.url else None

    def _look_at_host(self, facts: Facts) -> host.Host | None:
        if not facts.local:
            return None
        if self._server_pid is None:
            self._server_pid = host.find_server(self._ask.url) or 0
        return host.look(facts, self._server_pid or None)

    def _stage(self, name: str, work: Callable[[], _T]) -> _T:
        began = time.monotonic()
        self._on_stage(name, self._ask.window_s if name == "window" else 0.0)
        try:
            return work()
        finally:
            self._stages[name] = time.monotonic() - began


def _moved(facts: Facts, inspector: Inspector) -> Missing | None:
    """Why the two samples cannot be compared: counters were reset, or the server was started anew, between them."""
    row = inspector.row(
        "SELECT pg_postmaster_start_time() AS started_at,"
        " (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS stats_reset"
    )
    if row["started_at"] != facts.started_at:
        return Missing("PostgreSQL was started anew inside the window", "run it again")
    if row["stats_reset"] != facts.stats_reset:
        return Missing("statistics were reset inside the window", "run it again")
    return None


def _database_cpu_s(facts: Facts) -> float | None:
    """Of our own backend; behind a pooler it serves others too."""
    if not facts.local or facts.backend_pid != facts.protocol_pid:
        return None
    used = own_cpu_s(facts.backend_pid)
    return None if used is None else round(used, 4)


def _cpu_share(seen: Seen) -> float | None:
    """How busy this machine was in the window, 0 to 1; None when PostgreSQL is elsewhere, or for a moment too short."""
    if seen.host is None or seen.host_before is None:
        return None
    passed = seen.host.at - seen.host_before.at
    if passed < _CPU_WINDOW_MIN_S:
        return None
    return (seen.host.busy_s - seen.host_before.busy_s) / passed / (os.cpu_count() or 1)


def _pool_share(seen: Seen) -> float | None:
    """How busy the pool of the Queen server was, the mean of the two looks, 0 to 1; None without a server."""
    shares = [
        share
        for sample in (seen.server_before, seen.server)
        if sample is not None and (share := sample.pool_share) is not None
    ]
    return sum(shares) / len(shares) if shares else None


def _about(seen: Seen) -> dict[str, object]:
    facts = seen.facts
    return {
        "postgres": facts.version_text,
        "database": facts.database,
        "role": facts.role,
        "schema": facts.schema if facts.schema_complete else None,
        "local": facts.local,
        "standby": facts.in_recovery,
        "pooled": bool(seen.pooler and seen.pooler.transaction_mode),
        "server": seen.server.url if seen.server else None,
    }
