"""Builds the record of a run from what was collected, and has it judged. Pure: measures nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from queen import __version__
from queen.bench import percentiles, slices, slo
from queen.bench.ask import Ask
from queen.bench.bottleneck import Bottleneck
from queen.bench.collect import Collector
from queen.bench.costs import costs
from queen.bench.facts import Facts, measured_series, step_of
from queen.bench.faults import Struck
from queen.bench.fingerprint import match_hash
from queen.bench.objective import Slo
from queen.bench.orders import Counts
from queen.bench.recovery import Track, reports
from queen.bench.result import Costs, FaultReport, LedgerReport, NullRun, Phase, Request, Result
from queen.bench.seen import Seen, Surroundings
from queen.bench.series import of_seconds, phase_of
from queen.bench.verdict import Conduct, judge
from queen.bench.why import why
from queen.measure.histogram import LatencyHistogram

TICK_S_MAX = 0.25
AFFECTED = ("unknown", "refused", "duplicates", "redelivered", "ack_refused")
"""Counts of messages that a fault is told by."""

_REFUSED = ("pool_refused", "memory_refused")


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
    seen: Seen = field(default_factory=Seen)
    surroundings: Surroundings = field(default_factory=Surroundings)


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
    series = of_seconds(collector.seconds, lambda second: phase_of(collector, account.phases, second), account.seen)
    spent = _costs(account, totals)
    facts = Facts(
        latency=_whole(account),
        slices=slices.decoded(account.objectives, collector.blocks, account.seen),
        slice_s=slices.length_s(ask.workload),
        target=ask.target,
        offered=rates["due"],
        sent=rates["sent"],
        accepted=rates["accepted"],
        delivered=delivered,
        error_share=error_share,
        backlog_max=backlog_max,
        rss_bytes_max=account.seen.server.rss_bytes_max if account.seen.server else None,
        series=measured_series(series, ask.workload.groups),
        series_s=step_of(series),
        ledger=account.ledger,
        costs=spent,
        faults=faults,
    )
    outcomes = slo.check_all(account.objectives, facts)
    held_back, conduct = _why(account), _conduct(account, totals)
    verdict = judge(
        facts,
        outcomes,
        conduct,
        slos=account.objectives,
        seconds=seconds,
        bottleneck=held_back.short if held_back else None,
    )
    return Result(
        queen_version=__version__,
        started_at=account.started_at,
        duration_s=round(account.duration_s, 3),
        partial=account.partial,
        request=_request(account),
        fingerprint=account.surroundings.fingerprint,
        fingerprint_hash=match_hash(account.surroundings.fingerprint),
        phases=account.phases,
        null_run=account.null_run,
        offered_per_s=rates["due"],
        sent_per_s=rates["sent"],
        accepted_per_s=rates["accepted"],
        delivered_per_s=delivered,
        backlog_max=backlog_max,
        errors=dict(errors),
        error_share=error_share,
        latency={name: percentiles.of(one) for name, one in facts.latency.items()},
        histograms={name: one.encode() for name, one in facts.latency.items()},
        slices=slices.encoded(collector.blocks, account.seen),
        slice_s=slices.length_s(ask.workload),
        series=series,
        ledger=account.ledger,
        server=account.seen.server,
        postgres=account.seen.postgres,
        costs=spent,
        bottleneck=held_back.sentence if held_back else None,
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


def _whole(account: Account) -> dict[str, LatencyHistogram]:
    """Of the whole measured time by metric, with what the servers say of their inserts."""
    insert = account.seen.insert
    return dict(account.collector.whole) | ({"insert": insert} if insert is not None else {})


def _costs(account: Account, totals: Counts) -> Costs | None:
    """Of a message acked, or stored where nobody consumed meanwhile."""
    seen, measured = account.seen, account.collector.measured()
    meanwhile = account.ask.workload.consume == "meanwhile"
    return costs(
        totals.acked if meanwhile else totals.accepted,
        seen.server,
        seen.postgres,
        generator_cpu_s=sum(one.cpu_s for one in measured),
        wire_bytes=totals.bytes_sent + totals.bytes_received,
    )


def _why(account: Account) -> Bottleneck | None:
    lag = account.collector.whole.get("generator_lag")
    return why(
        account.seen,
        account.collector.measured(),
        lag_p99_ms=percentiles.at(lag, 99.0) if lag is not None else None,
        slo_ms=account.ask.tightest_ms(account.objectives),
        same_host=account.own_server,
    )


def _conduct(account: Account, totals: Counts) -> Conduct:
    measured = account.collector.measured()
    busiest = max((one.cpu_s_max for one in measured), default=None)
    if measured:
        # Of a whole window rather than its worst second: a second alone is the scheduler's.
        busiest = sum(one.cpu_s_max for one in measured) / len(measured)
    around = account.surroundings
    refused = account.seen.server.counters if account.seen.server else {}
    return Conduct(
        null_run=account.null_run,
        steady=account.steady,
        cpu_share_max=None if account.ask.full_speed else busiest,
        overflow=0 if account.ask.full_speed else totals.overflow,
        partial=account.partial,
        faults_missed=_faults_missed(account),
        environment=around.changed + (around.disturbed if account.ask.strict else []),
        server_full=any(refused.get(name) for name in _REFUSED),
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
    collector, notes = account.collector, [*account.notes, *account.seen.notes]
    if not account.ask.strict:
        notes += [f"before measuring: {one}" for one in account.surroundings.disturbed]
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
