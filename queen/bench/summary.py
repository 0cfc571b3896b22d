"""The summary of a result as text for one screen: 40 lines of 100 columns at most, parameters first, verdict last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from queen.bench import words
from queen.bench.result import Campaign, FaultReport, LedgerReport, Result, SloOutcome

LINES_MAX: Final = 40
COLUMNS_MAX: Final = 100
_SLOS_MAX = 8
_FAULTS_MAX = 4
_STEPS_MAX = 24
_COLUMNS: Final = ("response", "service", "e2e", "insert")


def text(result: Result | Campaign) -> str:
    """Lines without an end of line at the last. What does not fit is said to be left out; the verdict is never cut."""
    lines = list(_campaign(result) if isinstance(result, Campaign) else _run(result))
    kept = lines if len(lines) <= LINES_MAX else [*lines[: LINES_MAX - 2], "… (result.json has all)", lines[-1]]
    return "\n".join([*(_cut(line) for line in kept[:-1]), kept[-1]])


def _cut(line: str) -> str:
    return line if len(line) <= COLUMNS_MAX else line[: COLUMNS_MAX - 1] + "…"


def _run(result: Result) -> Iterator[str]:
    yield from _parameters(result)
    if not words.has_headline(result):
        yield f"no headline: the run is {result.verdict.word}; its figures describe it and claim nothing"
    yield _row("rate", f"offered {words.rate(result.offered_per_s)}", *_rates(result))
    yield from _latencies(result)
    yield from _ledger(result.ledger)
    yield from _costs(result)
    yield from _objectives(result.slos)
    yield from _faults(result.faults)
    if result.bottleneck:
        yield _row("bottleneck", result.bottleneck)
    for note in result.notes[:3]:
        yield _row("note", note)
    for reason in result.verdict.reasons[:3]:
        yield _row("reason", reason)
    yield result.verdict.line


def _row(name: str, *parts: str) -> str:
    return f"{name:<11}" + "   ".join(parts)


def _parameters(result: Result) -> Iterator[str]:
    asked, load = result.request, result.request.workload
    target = words.rate(asked.target_per_s)
    yield _row("bench", f"{load.name} v{load.version}", asked.mode, f"target {target}", f"seed {asked.seed}")
    yield _row(
        "load",
        f"{load.payload_bytes} B",
        f"{load.push_batch} a push",
        f"{load.pop_batch} a pop",
        f"{load.partitions} partitions",
        f"{load.groups} × {load.consumers} consumers",
        load.arrivals,
    )
    said = words.claims(result)
    yield _row("durability", said["durability"], f"replication {said['replication']}")
    yield _row("machines", said["machines"])
    if result.partial:
        yield _row("partial", "the run was cut short: what is here is right, and not all of it")


def _rates(result: Result) -> Iterator[str]:
    yield f"accepted {words.rate(result.accepted_per_s)}"
    yield f"delivered {words.rate(result.delivered_per_s)}"
    yield f"errors {words.share(result.error_share)}"


def _latencies(result: Result) -> Iterator[str]:
    """Response and service side by side, since a gap between them is a stall."""
    found = {name: result.latency.get(name) for name in _COLUMNS}
    if found["insert"] is None and result.server is not None:
        found["insert"] = result.server.insert
    yield _row("ms", *(f"{name:>20}" for name in _COLUMNS))
    for name, percent in words.PERCENTS:
        cells = (words.percentile(found[column], name, percent) for column in _COLUMNS)
        yield _row(f"  {name.replace('_', '.')}", *(f"{cell:>20}" for cell in cells))
    largest = (getattr(found[column], "max", None) for column in _COLUMNS)
    yield _row("  max", *(f"{words.number(value):>20}" for value in largest))
    counts = (getattr(found[column], "count", None) for column in _COLUMNS)
    yield _row("  count", *(f"{words.number(value, 9):>20}" for value in counts))


def _ledger(ledger: LedgerReport) -> Iterator[str]:
    bad = ("lost", "duplicated", "reordered", "early", "corrupt", "ghost", "unacked")
    yield _row("ledger", "  ".join(f"{name} {getattr(ledger, name):,}" for name in bad))
    seen = ("accepted", "delivered", "redelivered", "unknown", "refused", "dead_letters")
    yield _row("", "  ".join(f"{name.replace('_', ' ')} {getattr(ledger, name):,}" for name in seen))
    if not ledger.complete:
        yield _row("", "not complete: the drain did not reach its end, so nothing was called lost")


def _costs(result: Result) -> Iterator[str]:
    cost = result.costs
    if cost is None:
        return
    yield _row(
        "a message",
        f"server {words.number(cost.server_cpu_us)} µs",
        f"PostgreSQL {words.number(cost.postgres_cpu_us)} µs",
        f"WAL {words.number(cost.wal_bytes)} B",
        f"wire {words.number(cost.wire_bytes)} B",
        f"commits {words.number(cost.commits)}",
    )


def _objectives(slos: list[SloOutcome]) -> Iterator[str]:
    """What was missed comes first; of those that held, as many as fit."""
    ordered = sorted(slos, key=lambda one: (one.held, one.always))
    for slo in ordered[:_SLOS_MAX]:
        why = f"  ({slo.reason})" if slo.reason else ""
        spare = words.margin(slo.margin)
        windows = f"  {slo.windows_missed} windows missed" if slo.windows_missed else ""
        word = "held  " if slo.held else "MISSED"
        yield f"  {word}   {slo.text:<36} {slo.value_text:<14}{spare:>8}{windows}{why}".rstrip()
    if len(ordered) > _SLOS_MAX:
        rest = ordered[_SLOS_MAX:]
        yield f"  … and {len(rest)} more, {sum(not slo.held for slo in rest)} of them missed"


def _faults(faults: list[FaultReport]) -> Iterator[str]:
    for fault in faults[:_FAULTS_MAX]:
        back = f"back after {words.number(fault.recovery_s)} s" if fault.recovery_s is not None else "NEVER back"
        dip = f"{words.rate(fault.baseline_per_s)} → {words.rate(fault.dip_per_s)}"
        yield _row("fault", f"{fault.name} at {fault.at_s:.0f} s", dip, back)


def _campaign(campaign: Campaign) -> Iterator[str]:
    yield _row("bench", campaign.kind, f"{campaign.duration_s:.0f} s")
    if campaign.partial:
        yield _row("partial", "cut short: what is here is right, and not all of it")
    yield f"{'step':<22}{'delivered':>14}{'response p99':>16}{'e2e p99':>14}"
    for step in campaign.steps[:_STEPS_MAX]:
        cells = (
            f"{words.rate(step.delivered_per_s):>14}",
            f"{words.milliseconds(step.response_p99_ms):>16}{words.milliseconds(step.e2e_p99_ms):>14}",
            "  held" if step.held else f"  MISSED {'; '.join(step.reasons)}",
        )
        yield f"{step.label:<22}{''.join(cells)}"
    if len(campaign.steps) > _STEPS_MAX:
        yield f"… and {len(campaign.steps) - _STEPS_MAX} more"
    for run in campaign.runs[:2]:
        yield _row("confirmed" if campaign.kind == "search" else "run", run.verdict.line)
    for note in campaign.notes[:3]:
        yield _row("note", note)
    for reason in campaign.verdict.reasons[:3]:
        yield _row("reason", reason)
    yield campaign.verdict.line
