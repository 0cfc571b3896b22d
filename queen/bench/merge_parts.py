"""Parts of results taken together: histograms, ledgers, null runs, the sides of server and database, costs.

`add` is for generators of one run: all of them saw the same servers, so what those say counts once. Otherwise the parts
are of repeats. Judges nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from queen.bench import percentiles
from queen.bench.evidence import ANOMALIES_MAX
from queen.bench.result import Conditions, Costs, LedgerReport, NullRun, Percentiles, PostgresSide, Result, ServerSide
from queen.errors import ResultFileError
from queen.measure.histogram import LatencyHistogram

SEEN_BY_ALL: Final = frozenset({"insert"})
"""Histograms of the server's own, which every generator of a run saw whole."""
_OWN_COSTS: Final = ("generator_cpu_us", "wire_bytes")
_LEVELS: Final = ("_max", "dead_tuples", "table_bytes", "index_bytes")
"""How figures end that are levels rather than counts: of repeats the largest is kept."""


def decode(text: str, run: Result) -> LatencyHistogram:
    """Raises ResultFileError for a damaged histogram."""
    try:
        return LatencyHistogram.decode(text)
    except ValueError as error:
        raise ResultFileError(f"the run of {run.started_at} is damaged: {error}") from error


def put(found: dict[str, LatencyHistogram], name: str, one: LatencyHistogram, *, add: bool) -> None:
    """Count `one` under its name, too."""
    known = found.get(name)
    if known is None:
        found[name] = one
    elif add and name in SEEN_BY_ALL:
        found[name] = max(known, one, key=lambda histogram: histogram.count)
    else:
        known.add(one)


def weighted(pairs: Iterable[tuple[float | None, float]]) -> float | None:
    """The mean of values by weights; None when a value is unknown or nothing weighs."""
    held = list(pairs)
    total = sum(weight for _, weight in held)
    if total <= 0 or any(value is None for value, _ in held):
        return None
    return sum((value or 0) * weight for value, weight in held) / total


def pooled(held: Sequence[Percentiles]) -> Percentiles:
    """What is left of percentiles without their histograms: count, maximum and mean."""
    if len(held) == 1:
        return held[0]
    highest = [one.max for one in held if one.max is not None]
    blank = dict.fromkeys(field for field in Percentiles.__struct_fields__ if field.startswith("p"))
    return Percentiles(
        **blank,
        count=sum(one.count for one in held),
        max=max(highest, default=None),
        mean=weighted([(one.mean, one.count) for one in held if one.count]),
    )


def ledgers(held: Sequence[LedgerReport]) -> LedgerReport:
    """Counts are sums; whole only if each was whole. Evidence says which run it is of."""
    flags = {"complete": all(one.complete for one in held), "early_judged": all(one.early_judged for one in held)}
    plain = set(LedgerReport.__struct_fields__) - {"groups", "anomalies", *flags}
    groups: dict[str, Counter[str]] = {}
    for one in held:
        for name, counts in one.groups.items():
            groups.setdefault(name, Counter()).update(counts)
    found, kinds = [], Counter[str]()
    for number, one in enumerate(held, 1):
        for anomaly in one.anomalies:
            kinds[anomaly.kind] += 1
            if kinds[anomaly.kind] <= ANOMALIES_MAX:
                found.append(msgspec.structs.replace(anomaly, seen=f"run {number}: {anomaly.seen}"))
    return LedgerReport(
        **{name: sum(getattr(one, name) for one in held) for name in plain},
        **flags,
        groups={name: dict(counts) for name, counts in groups.items()},
        anomalies=found,
    )


def null_runs(held: Sequence[NullRun], *, add: bool) -> NullRun | None:
    """The worst of them; of generators the rates and shares of all together."""
    if not held:
        return None
    lags = [one.generator_lag_p99_ms for one in held if one.generator_lag_p99_ms is not None]
    rates = [[one.rate_per_s for one in held], [one.offered_per_s for one in held]]
    rate, offered = (sum(each) if add else min(each) for each in rates)
    shares = [one.cpu_share_total for one in held]
    return NullRun(
        rate_per_s=rate,
        offered_per_s=offered,
        seconds=max(one.seconds for one in held),
        generator_lag_p99_ms=max(lags, default=None),
        cpu_share_max=max(one.cpu_share_max for one in held),
        cpu_share_total=sum(shares) if add else max(shares),
        overflow=sum(one.overflow for one in held),
        ok=all(one.ok for one in held),
        reasons=list(dict.fromkeys(reason for one in held for reason in one.reasons)),
    )


def conditions(held: Sequence[Conditions]) -> Conditions:
    """The worst of each."""
    shares = [one.cpu_share_max for one in held if one.cpu_share_max is not None]
    return Conditions(
        steady=all(one.steady for one in held),
        environment=list(dict.fromkeys(change for one in held for change in one.environment)),
        cpu_share_max=max(shares, default=None),
        overflow=sum(one.overflow for one in held),
        server_full=any(one.server_full for one in held),
    )


def servers(runs: Sequence[Result], *, add: bool) -> ServerSide | None:
    """Of repeats: counts are sums, levels the largest that was seen. Of generators what the first of them saw."""
    held = [run.server for run in runs if run.server is not None]
    if not held or add:
        return held[0] if held else None
    insert = _insert(runs)
    inserts = [one.insert for one in held if one.insert is not None]
    rss = [one.rss_bytes_max for one in held if one.rss_bytes_max is not None]
    return ServerSide(
        insert=percentiles.of(insert) if insert else pooled(inserts) if inserts else None,
        cpu_s=_sum_known([one.cpu_s for one in held]),
        rss_bytes_max=max(rss, default=None),
        counters=_counts([one.counters for one in held]),
        rows_per_flush=_rows_per_flush(runs),
        durability=_one([one.durability for one in held]),
        mode=_one([one.mode for one in held]),
        insert_histogram=insert.encode() if insert else None,
    )


def _insert(runs: Sequence[Result]) -> LatencyHistogram | None:
    """The server's histograms added; None where one was not kept: percentiles alone cannot be added."""
    sides = [(run.server, run) for run in runs if run.server is not None and run.server.insert is not None]
    made = LatencyHistogram()
    for side, run in sides:
        if side.insert_histogram is None:
            return None
        made.add(decode(side.insert_histogram, run))
    return made if sides else None


def postgres(held: Sequence[PostgresSide], *, add: bool) -> PostgresSide | None:
    """Of repeats: counts are sums, levels the largest that was seen."""
    if not held or add:
        return held[0] if held else None
    tables = dict.fromkeys(name for one in held for name in one.tables)
    waits = Counter[str]()
    for one in held:
        waits.update(one.waits)
    return PostgresSide(
        counters=_counts([one.counters for one in held]),
        tables={name: _counts([one.tables[name] for one in held if name in one.tables]) for name in tables},
        waits=dict(waits),
        samples=sum(one.samples for one in held),
        cpu_s=_sum_known([one.cpu_s for one in held]),
    )


def costs(runs: Sequence[Result], *, add: bool) -> Costs | None:
    """Weighted by the messages that were acked. Generators each charged the whole server to their own messages: what
    it spent falls on the messages of all, as the mean of what they saw it spend."""
    held = [(run.costs, _messages(run)) for run in runs if run.costs is not None]
    if not held or len(held) < len(runs):
        return None
    each: dict[str, float | None] = {
        name: weighted([(getattr(one, name), acked) for one, acked in held]) for name in Costs.__struct_fields__
    }
    if add:
        shared = {name: value for name, value in each.items() if name not in _OWN_COSTS}
        each |= {name: None if value is None else value / len(held) for name, value in shared.items()}
    return Costs(**each)


def _messages(run: Result) -> float:
    """Acked in the measured time; accepted where nobody consumed."""
    acked = run.series.values.get("acked", [])
    measured = [value or 0 for value, phase in zip(acked, run.series.phase, strict=False) if phase == "measure"]
    return sum(measured) or run.ledger.acked or run.ledger.accepted


def _rows_per_flush(runs: Sequence[Result]) -> dict[str, float | None]:
    """Rows of all by flushes of all, taking the rows in the proportion of the messages."""
    held = [(run.server.rows_per_flush, _messages(run)) for run in runs if run.server is not None]
    names = dict.fromkeys(name for rows, _ in held for name in rows)
    found: dict[str, float | None] = {}
    for name in names:
        flushes = weighted([(1 / rate if (rate := rows.get(name)) else None, weight) for rows, weight in held])
        found[name] = 1 / flushes if flushes else None
    return found


def _counts(held: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in held for name in one)
    known: dict[str, list[float]] = {name: [one[name] for one in held if name in one] for name in names}
    return {name: max(values) if name.endswith(_LEVELS) else sum(values) for name, values in known.items()}


def _sum_known(values: Sequence[float | None]) -> float | None:
    return None if any(value is None for value in values) else sum(value or 0 for value in values)


def _one(values: Sequence[Any]) -> str | None:
    return ", ".join(dict.fromkeys(value for value in values if value)) or None
