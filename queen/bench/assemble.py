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
from queen.bench.recovery import Track, assess
from queen.bench.result import FaultReport, LedgerReport, NullRun, Phase, Request, Result
from queen.bench.series import of_seconds, phase_of
from queen.bench.verdict import Conduct, judge
from queen.measure.histogram import LatencyHistogram

SLICE_S = 5


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
    meanwhile = ask.workload.consume == "meanwhile"
    delivered = totals.delivered / seconds / ask.workload.groups if seconds and meanwhile else None
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
        cpu_share_max=None if account.ask.full_speed else busiest,
        overflow=0 if account.ask.full_speed else totals.overflow,
        partial=account.partial,
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
    measured = account.collector.measured()
    groups = account.ask.workload.groups
    track = Track(
        [one.counts.delivered / groups for one in measured],
        [one.latencies["e2e"][1] if "e2e" in one.latencies else None for one in measured],
    )
    struck = sorted(account.struck, key=lambda one: one.begin_s)
    reports, before_s = [], 0.0
    ledger = account.ledger
    affected = {name: getattr(ledger, name) for name in ("unknown", "refused", "redelivered", "duplicated", "lost")}
    for place, one in enumerate(struck):
        later = struck[place + 1].begin_s if place + 1 < len(struck) else None
        notes = [f"not done: {one.failed}"] if one.failed else []
        notes += [f"{name} {value:g}" for name, value in one.marks.items() if name not in ("begin_s", "end_s")]
        report = assess(
            one.fault.name,
            one.begin_s,
            one.end_s,
            track,
            before_s=before_s,
            until_s=later,
            affected=affected,
            notes=notes,
        )
        reports.append(report)
        before_s = one.end_s + (report.recovery_s or 0.0)
    return reports


def _notes(account: Account) -> list[str]:
    collector, notes = account.collector, list(account.notes)
    if collector.above_range:
        notes.append(f"{collector.above_range} latencies were above an hour and count as an hour")
    if collector.negative:
        notes.append(f"{collector.negative} latencies were below zero: the clocks disagree")
    late = collector.late.get("response") or collector.late.get("e2e")
    if late is not None and late.count:
        notes.append(
            f"{late.count:,} latencies ended after the measured time and are not in the percentiles, "
            f"the longest {late.max_ms():,.1f} ms"
        )
    if account.own_server:
        notes.append("generator, server and PostgreSQL share this machine")
    return notes
