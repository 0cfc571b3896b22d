"""One run, in stages: connect, facts, first sample, static checks, window, second sample, judge, rank.

Cheap and bounded: one read-only session without a transaction open, each statement two seconds at most, the whole
three seconds and the window. Knows no check by name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from queen.doctor.check import Check, Query, Seen
from queen.doctor.facts import Facts, gather
from queen.doctor.finding import SEVERITIES, Finding, Result, Threshold
from queen.doctor.needs import Ground, Missing
from queen.doctor.probes import host, pooler, server, waits
from queen.doctor.report import Report, saturated, together, verdict_of
from queen.errors import CannotLook
from queen.store.inspect import Inspector, Row

BUDGET_S: Final = 3.0
"""Statements of a run may take this long beside the window; what does not fit is skipped and says so."""

OnStage = Callable[[str, float], None]
_Answer = list[Row] | CannotLook
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a run is to look at. `url`: a Queen server. `thresholds`: by "ID.name", in place of the defaults."""

    dsn: str
    checks: Sequence[Check]
    schema: str = "queen"
    url: str | None = None
    window_s: float = 10.0
    deep: bool = False
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)


def run(ask: Ask, on_stage: OnStage = lambda _name, _seconds: None) -> Report:
    """Make one run. Raises StoreUnavailable, AccessDenied when the database is not reached or goes away."""
    with Inspector(ask.dsn, ask.schema) as inspector:
        return _Run(ask, inspector, on_stage).report()


class _Run:
    """The state of one run: what was asked for, what was seen so far."""

    def __init__(self, ask: Ask, inspector: Inspector, on_stage: OnStage) -> None:
        self._ask = ask
        self._inspector = inspector
        self._on_stage = on_stage
        self._stages: dict[str, float] = {}

    def report(self) -> Report:
        facts = self._stage("facts", lambda: gather(self._inspector))
        own_pooler = pooler.look(facts)
        ground = Ground(facts, self._look_at_server(), own_pooler, self._ask.deep, self._ask.window_s)
        missing = {check.id: _missing(check, ground) for check in self._ask.checks}
        able = [check for check in self._ask.checks if missing[check.id] is None]
        moving = [check for check in able if check.delta]
        first_host = host.look() if facts.local else None
        first = self._stage("first sample", lambda: self._sample(moving, facts))
        static = self._stage("static checks", lambda: self._sample([c for c in able if not c.delta], facts))
        seen_waits = self._stage("window", lambda: self._wait(bool(moving)))
        second = self._stage("second sample", lambda: self._sample(moving, facts))
        moved = _moved(facts, self._inspector) if moving else None
        base = Seen(
            facts=facts,
            limits={},
            first={},
            second={},
            window_s=self._stages["window"] + self._stages["second sample"] / 2,
            waits=seen_waits,
            server=self._look_at_server() if moving and ground.server else ground.server,
            server_before=ground.server,
            host=host.look() if facts.local else None,
            host_before=first_host,
            pooler=own_pooler,
            deep=self._ask.deep,
        )
        results = []
        for check in self._ask.checks:
            gone = missing[check.id] or (moved if check.delta else None)
            answers = (first, second) if check.delta else (static, static)
            results.append(_skipped(check, gone) if gone else self._judge(check, base, *answers))
        return self._finish(tuple(results), base)

    def _finish(self, results: tuple[Result, ...], seen: Seen) -> Report:
        longest = max((seen.waits.share(wait) for wait in seen.waits.by_wait if wait != "CPU"), default=0.0)
        return Report(
            results=results,
            verdict=verdict_of(results),
            together_pct=together(results),
            busy=saturated(longest if seen.waits.busy >= 1 else 0.0, _cpu_share(seen), None),
            window_s=round(self._stages["window"], 3),
            stages=self._stages,
            about=_about(seen),
            statements=self._inspector.statements,
        )

    def _judge(self, check: Check, base: Seen, first: Mapping[str, _Answer], second: Mapping[str, _Answer]) -> Result:
        rows_first: dict[str, list[Row]] = {}
        rows_second: dict[str, list[Row]] = {}
        for name, query in check.queries.items():
            text = query.text_for(base.facts.version)
            for answers, rows in ((first, rows_first), (second, rows_second)):
                answer = answers[text]
                if isinstance(answer, CannotLook):
                    return _refused(check, answer)
                rows[name] = answer
        limits = {name: self._limit(check, name) for name in check.thresholds}
        seen = replace(base, limits=limits, first=rows_first, second=rows_second)
        try:
            findings = tuple(check.evaluate(seen))
        except CannotLook as error:
            return _refused(check, error)
        except Exception as error:  # a bug in one check must not hide what the others found
            return Result(check.id, check.group, check.title, "error", reason=f"{type(error).__name__}: {error}")
        return _result(check, findings)

    def _limit(self, check: Check, name: str) -> Threshold:
        return self._ask.thresholds.get(f"{check.id}.{name}", check.thresholds[name])

    def _sample(self, checks: Iterable[Check], facts: Facts) -> dict[str, _Answer]:
        """The rows of every different text of these checks, or why there are none."""
        answers: dict[str, _Answer] = {}
        for check in checks:
            for query in check.queries.values():
                text = query.text_for(facts.version)
                if text not in answers:
                    answers[text] = self._answer(query, text, facts)
        return answers

    def _answer(self, query: Query, text: str, facts: Facts) -> _Answer:
        if facts.version < query.min_version:
            return CannotLook(f"needs PostgreSQL {query.min_version // 10_000}", kind="missing")
        if self._inspector.busy_s > BUDGET_S + self._ask.window_s:
            return CannotLook(f"the run's time of {BUDGET_S:.0f} s was used up", kind="timeout")
        try:
            return self._inspector.rows(text)
        except CannotLook as error:
            return error

    def _wait(self, needed: bool) -> waits.Waits:
        if not needed:
            return waits.Waits()
        try:
            return waits.sample(self._inspector, self._ask.window_s)
        except CannotLook:
            return waits.Waits()

    def _look_at_server(self) -> server.ServerSample | None:
        return server.look(self._ask.url) if self._ask.url else None

    def _stage(self, name: str, work: Callable[[], _T]) -> _T:
        began = time.monotonic()
        self._on_stage(name, self._ask.window_s if name == "window" else 0.0)
        try:
            return work()
        finally:
            self._stages[name] = time.monotonic() - began


def _missing(check: Check, ground: Ground) -> Missing | None:
    return next((found for need in check.needs if (found := need(ground)) is not None), None)


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


def _skipped(check: Check, missing: Missing) -> Result:
    return Result(check.id, check.group, check.title, "skipped", reason=missing.reason, enable=missing.enable)


def _refused(check: Check, error: CannotLook) -> Result:
    enable = "GRANT pg_monitor TO the role" if error.kind == "privilege" else error.hint
    return Result(check.id, check.group, check.title, "skipped", reason=error.message, enable=enable)


def _result(check: Check, findings: tuple[Finding, ...]) -> Result:
    if not findings:
        return Result(check.id, check.group, check.title, "ok")
    worst = max(findings, key=lambda finding: SEVERITIES[finding.status])
    return Result(check.id, check.group, check.title, worst.status, findings)


def _cpu_share(seen: Seen) -> float | None:
    """How busy this machine was in the window, 0 to 1; None when PostgreSQL is elsewhere."""
    if seen.host is None or seen.host_before is None or seen.host.at <= seen.host_before.at:
        return None
    return (seen.host.busy_s - seen.host_before.busy_s) / (seen.host.at - seen.host_before.at) / (os.cpu_count() or 1)


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
