"""Builds the record of a run from what was collected, and has it judged. Pure: measures nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from queen import __version__
from queen.bench import percentiles, slo
from queen.bench.ask import Ask
from queen.bench.collect import Collector
from queen.bench.facts import Facts
from queen.bench.faults import Struck
from queen.bench.objective import Slo
from queen.bench.orders import Counts
from queen.bench.recovery import Track, reports
from queen.bench.result import FaultReport, LedgerReport, NullRun, Phase, Request, Result
from queen.bench.series import of_seconds, phase_of
from queen.bench.verdict import Conduct, judge
from queen.measure.histogram import LatencyHistogram

SLICE_S = 5
TICK_S_MAX = 0.25
AFFECTED = ("unknown", "refused", "duplicates", "redelivered", "ack_refused")
"""Counts of messages that a fault is told by."""


@dataclass(kw_only=True)
class Account:
    """Everything that is known of a run when it has ended."""

    ask: Ask
    objectives: list[Slo]
    collector: Collector
    ledger: LedgerReport
    phases: list[Phase]
    notes: list[str]
    null_run: NullRun | None
    workers: int
    steady: bool
    partial: bool
    started_at: str
    duration_s: float
    own_server: bool
    own_database: bool
    struck: list[Struck] = field(default_factory=list)


def assemble(account: Account) -> Result:
    """The record, with its verdict."""
    ask, collector = account.ask, account.collector
    measured = collector.measured()
    seconds = len(measured)
    totals = _totals(account)
    rates = {name: getattr(totals, name) / seconds if seconds else None for name in ("due", "sent", "accepted")}
    delivered = totals.delivered / seconds / ask.workload.groups if seconds else None
    errors = Counter[str]()
    for one in measured:
        errors.update(one.errors)
    requests = totals.pushes + totals.pops + totals.acks
    error_share = sum(errors.values()) / requests if requests else None
    backlog_max = max((one.backlog for one in measured), default=None)
    faults = _faults(account)
    facts = Facts(
        latency=dict(collector.whole),
        slices=_decoded(account),
        slice_s=_slice_s(ask),
        target=ask.target,
        offered=rates["due"],
        sent=rates["sent"],
        accepted=rates["accepted"],
        delivered=delivered,
        error_share=error_share,
        backlog_max=backlog_max,
        series={"backlog": [float(one.backlog) for one in measured]},
        ledger=account.ledger,
        faults=faults,
    )
    outcomes = slo.check_all(account.objectives, facts)
    conduct = _conduct(account, totals)
    verdict = judge(facts, outcomes, conduct, slos=account.objectives, seconds=seconds)
    return Result(
        queen_version=__version__,
        started_at=account.started_at,
        duration_s=round(account.duration_s, 3),
        partial=account.partial,
        request=_request(account),
        fingerprint={},
        fingerprint_hash="",
        phases=account.phases,
        null_run=account.null_run,
        offered_per_s=rates["due"],
        sent_per_s=rates["sent"],
        accepted_per_s=rates["accepted"],
        delivered_per_s=delivered,
        backlog_max=backlog_max,
        errors=dict(errors),
        error_share=error_share,
        latency={name: percentiles.of(one) for name, one in collector.whole.items()},
        histograms={name: one.encode() for name, one in collector.whole.items()},
        slices=_encoded(account),
        slice_s=_slice_s(ask),
        series=of_seconds(collector.seconds, lambda second: phase_of(collector, account.phases, second)),
        ledger=account.ledger,
        server=None,
        postgres=None,
        costs=None,
        bottleneck=None,
        faults=faults,
        slos=outcomes,
        verdict=verdict,
        notes=_notes(account),
        conditions=conduct.conditions(),
    )


def _totals(account: Account) -> Counts:
    total = Counts()
    for one in account.collector.measured():
        for name in Counts.__struct_fields__:
            setattr(total, name, getattr(total, name) + getattr(one.counts, name))
    return total


def _conduct(account: Account, totals: Counts) -> Conduct:
    measured = account.collector.measured()
    busiest = max((one.cpu_s_max for one in measured), default=None)
    if measured:
        # Of a whole window rather than its worst second: a second alone is the scheduler's.
        busiest = sum(one.cpu_s_max for one in measured) / len(measured)
    return Conduct(
        null_run=account.null_run,
        steady=account.steady,
        cpu_share_max=busiest,
        overflow=totals.overflow,
        partial=account.partial,
        faults_missed=_faults_missed(account),
    )


def _request(account: Account) -> Request:
    ask = account.ask
    return Request(
        mode=ask.mode,
        target_per_s=ask.target,
        workload=ask.workload,
        slos=list(ask.slos),
        seed=ask.seed,
        workers=account.workers,
        command=ask.command,
        own_server=account.own_server,
        own_database=account.own_database,
        faults=[fault.text for fault in ask.faults.faults] if ask.faults is not None else [],
    )


def _slice_s(ask: Ask) -> int:
    return SLICE_S if ask.workload.measure_s <= 600 else 60


def _encoded(account: Account) -> dict[str, list[str | None]]:
    blocks = account.collector.blocks
    names = sorted({name for block in blocks for name in block.encoded})
    return {name: [block.encoded.get(name) for block in blocks] for name in names}


def _decoded(account: Account) -> dict[str, list[LatencyHistogram | None]]:
    """Only where an objective looks at windows: decoding is not free."""
    if not any(one.window_s is not None for one in account.objectives):
        return {}
    return {
        name: [None if text is None else LatencyHistogram.decode(text) for text in texts]
        for name, texts in _encoded(account).items()
    }


def _faults(account: Account) -> list[FaultReport]:
    measured, from_s = account.collector.measured(), account.collector.measure_from_s
    if not measured or from_s is None:
        return []
    groups = account.ask.workload.groups
    by_second = {one.second - from_s: one for one in measured}
    seconds = [by_second.get(second) for second in range(max(by_second) + 1)]
    track = Track(
        [None if one is None else one.counts.delivered / groups for one in seconds],
        [None if one is None or "e2e" not in one.latencies else one.latencies["e2e"][1] for one in seconds],
    )

    def affected(begin_s: float, end_s: float) -> dict[str, int]:
        # Workers end a second at their first tick after it: what came at its very beginning may be in the one before.
        first = int(begin_s - TICK_S_MAX)
        hit = [one for second, one in by_second.items() if first <= second < end_s]
        found = {name: sum(getattr(one.counts, name) for one in hit) for name in AFFECTED}
        # An attempt counts for a place in the partition: new messages behind a redelivered one are marked with it.
        return found | {"redelivered": min(found["redelivered"], account.ledger.redelivered)}

    return reports(account.struck, track, affected, clock_s=from_s)


def _faults_missed(account: Account) -> list[str]:
    asked = account.ask.faults.faults if account.ask.faults is not None else ()
    ended = {one.fault for one in account.struck}
    failed = [f"{one.fault.name}: {one.failed}" for one in account.struck if one.failed is not None]
    return [*failed, *(f"{fault.name}: it had not ended in time" for fault in asked if fault not in ended)]


def _notes(account: Account) -> list[str]:
    collector, notes = account.collector, list(account.notes)
    if collector.above_range:
        notes.append(f"{collector.above_range} latencies were above an hour and count as an hour")
    if collector.negative:
        notes.append(f"{collector.negative} latencies were below zero: the clocks disagree")
    if account.own_server:
        notes.append("generator, server and PostgreSQL share this machine")
    return notes
