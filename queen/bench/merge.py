"""Several results taken together: generators of one run, whose rates add up, or repeats, which are weighted by time.

Percentiles come from added histograms and are never averaged; the verdict is made anew. Says what does not belong
together. How parts are added, `merge_parts` and `merge_series` know. Reads no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations, pairwise
from typing import Final, Literal, NamedTuple

import msgspec

from queen.bench import merge_parts as parts
from queen.bench import merge_series as over_time
from queen.bench import percentiles, rejudge
from queen.bench.result import Percentiles, Request, Result, Series, Verdict
from queen.errors import ResultsDiffer, SettingsError
from queen.measure.histogram import LatencyHistogram

How = Literal["generators", "repeats"]
SHARED_MIN: Final = 0.9
"""Part of the measured time that generators of one run have in common."""
_UNFIT: Final = ("invalid", "wrong", "partial")
_STATED: Final = frozenset({"name", "version", "about", "slos"})
_RATES: Final = ("offered_per_s", "sent_per_s", "accepted_per_s", "delivered_per_s")


def merge(results: Sequence[Result], *, how: How | None = None, unfit: bool = False) -> Result:
    """One result of several. `how`: None tells it by the time they ran. `unfit`: take in runs that are invalid, wrong
    or cut short, too; the verdict of the whole says so.

    Of the servers and the database, generators all saw the same: those figures are taken once, and their costs fall on
    the messages of all. A window of an objective may span two repeats where their measured time is not a multiple of
    it. Raises SettingsError for fewer than two, ResultsDiffer for what does not belong together, ResultFileError for a
    damaged histogram.
    """
    if len(results) < 2:
        raise SettingsError("a merge takes two results or more")
    _admit(results, unfit)
    runs = sorted(results, key=_started)
    how = how or tell(runs)
    _agree(runs, how)
    if how == "generators":
        _same_time(runs)
    return rejudge.again(_together(runs, how))


def tell(results: Sequence[Result]) -> How:
    """Generators measured at the same time, repeats one after the other. Raises ResultsDiffer for a mixture, and for
    generators that each had a server of their own."""
    met = [_shared(_span(a), _span(b)) > 0 for a, b in combinations(results, 2)]
    if not any(met):
        return "repeats"
    if not all(met):
        raise ResultsDiffer("some of the runs were measured at the same time, and some were not", hint=_SAY)
    if any(run.request.own_server for run in results):
        raise ResultsDiffer("they were measured at the same time, and each against a server of its own", hint=_SAY)
    return "generators"


_SAY: Final = "say what they are: --as generators, or --as repeats"


class _Span(NamedTuple):
    """Seconds since the epoch."""

    start: float
    end: float


def _started(result: Result) -> float:
    try:
        return datetime.fromisoformat(result.started_at).timestamp()
    except ValueError as error:
        raise ResultsDiffer(f"when a run started cannot be read: {result.started_at!r}") from error


def _span(result: Result) -> _Span:
    """The measured time; the whole run where it did not come so far."""
    start = _started(result)
    spans = [phase for phase in result.phases if phase.name == "measure"]
    if not spans:
        return _Span(start, start + result.duration_s)
    return _Span(start + min(one.start_s for one in spans), start + max(one.end_s for one in spans))


def _shared(a: _Span, b: _Span) -> float:
    return max(0.0, min(a.end, b.end) - max(a.start, b.start))


def _same_time(runs: Sequence[Result]) -> None:
    spans = [_span(run) for run in runs]
    common = max(0.0, min(one.end for one in spans) - max(one.start for one in spans))
    longest = max(one.end - one.start for one in spans)
    if common < SHARED_MIN * longest:
        raise ResultsDiffer(
            f"only {common:.1f} s of {longest:.1f} s were measured together: rates of different times do not add up",
            hint="start the generators together, or merge them with --as repeats",
        )


def _admit(results: Sequence[Result], unfit: bool) -> None:
    for a, b in combinations(results, 2):
        if (a.started_at, a.request.seed, a.histograms) == (b.started_at, b.request.seed, b.histograms):
            raise ResultsDiffer(f"the run of {a.started_at} was given twice")
    for run in results:
        word = "partial" if run.partial else run.verdict.word
        if word in _UNFIT and not unfit:
            raise ResultsDiffer(
                f"the run of {run.started_at} is {word}: {'; '.join(run.verdict.reasons) or run.verdict.line}",
                hint="leave it out, or take it in with --take-unfit: the verdict of the whole will say so",
            )


def _agree(runs: Sequence[Result], how: How) -> None:
    for run in runs[1:]:
        found = _differences(runs[0], run, how)
        if found:
            raise ResultsDiffer(
                f"the runs of {runs[0].started_at} and {run.started_at} differ: {'; '.join(found)}",
                hint="only runs of one profile, version and fingerprint can be merged",
            )


def _differences(a: Result, b: Result, how: How) -> list[str]:
    first, second = a.request.workload, b.request.workload
    pairs: list[tuple[str, object, object]] = [
        ("profile", f"{first.name} v{first.version}", f"{second.name} v{second.version}"),
        ("fingerprint", a.fingerprint_hash, b.fingerprint_hash),
        ("Queen", a.queen_version, b.queen_version),
        ("mode", a.request.mode, b.request.mode),
        ("objectives", ", ".join(a.request.slos), ", ".join(b.request.slos)),
        ("seconds a slice", a.slice_s, b.slice_s),
    ]
    free = {*_STATED, "rate"} if how == "generators" else _STATED
    pairs += [
        (name, getattr(first, name), getattr(second, name)) for name in first.__struct_fields__ if name not in free
    ]
    if how == "repeats":
        pairs.append(("target", a.request.target_per_s, b.request.target_per_s))
        pairs.append(("faults", ", ".join(a.request.faults), ", ".join(b.request.faults)))
    return [f"{name} {one or 'none'} and {other or 'none'}" for name, one, other in pairs if one != other]


def _together(runs: Sequence[Result], how: How) -> Result:
    """The record of all; outcomes and verdict are still those of the first."""
    add, first = how == "generators", runs[0]
    slices, kept = over_time.slices(runs, add=add), _histograms(runs, add=add)
    series = over_time.added(runs, slices) if add else over_time.appended(runs)
    errors = Counter[str]()
    for run in runs:
        errors.update(run.errors)
    rates = {name: _rate([getattr(run, name) for run in runs], runs, add) for name in _RATES}
    conditions = [run.conditions for run in runs if run.conditions is not None]
    return msgspec.structs.replace(
        first,
        duration_s=max(run.duration_s for run in runs) if add else sum(run.duration_s for run in runs),
        partial=any(run.partial for run in runs),
        request=_request(runs, add),
        phases=first.phases if add else over_time.phases(runs),
        null_run=parts.null_runs([run.null_run for run in runs if run.null_run is not None], add=add),
        **rates,
        backlog_max=_backlog(runs, series if add else None),
        errors=dict(errors),
        error_share=parts.weighted([(run.error_share, _sent(run)) for run in runs]),
        latency=_latency(runs, kept),
        histograms={name: one.encode() for name, one in kept.items()},
        slices=over_time.encoded(slices),
        series=series,
        ledger=parts.ledgers([run.ledger for run in runs]),
        server=parts.servers(runs, add=add),
        postgres=parts.postgres([run.postgres for run in runs if run.postgres is not None], add=add),
        costs=parts.costs(runs, add=add),
        bottleneck="; ".join(dict.fromkeys(run.bottleneck for run in runs if run.bottleneck)) or None,
        faults=[fault for run in runs for fault in run.faults] if add else over_time.faults(runs),
        verdict=_doubts(runs),
        notes=_notes(runs, how),
        conditions=parts.conditions(conditions) if len(conditions) == len(runs) else None,
    )


def _doubts(runs: Sequence[Result]) -> Verdict:
    """What any verdict had against its run, where judging anew can find it."""
    reasons = list(dict.fromkeys(reason for run in runs for reason in run.verdict.reasons))
    return msgspec.structs.replace(runs[0].verdict, reasons=reasons)


def _histograms(runs: Sequence[Result], *, add: bool) -> dict[str, LatencyHistogram]:
    found: dict[str, LatencyHistogram] = {}
    for run in runs:
        for name, text in run.histograms.items():
            parts.put(found, name, parts.decode(text, run), add=add)
    return found


def _latency(runs: Sequence[Result], kept: dict[str, LatencyHistogram]) -> dict[str, Percentiles]:
    names = dict.fromkeys(name for run in runs for name in run.latency)
    return {
        name: percentiles.of(kept[name])
        if name in kept
        else parts.pooled([run.latency[name] for run in runs if name in run.latency])
        for name in names
    }


def _rate(rates: Sequence[float | None], runs: Sequence[Result], add: bool) -> float | None:
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates):
        return None
    return (
        sum(known)
        if add
        else parts.weighted([(one, rejudge.measured_s(run)) for one, run in zip(known, runs, strict=True)])
    )


def _sent(run: Result) -> float:
    return (run.sent_per_s or 0) * rejudge.measured_s(run)


def _backlog(runs: Sequence[Result], together: Series | None) -> int | None:
    """The largest of repeats; of generators that of any second `together`, since each had its own at another time."""
    known = [run.backlog_max for run in runs if run.backlog_max is not None]
    if not known or together is None:
        return max(known, default=None)
    cells = zip(together.values.get("backlog", []), together.phase, strict=False)
    seen = [value for value, phase in cells if phase == "measure" and value is not None]
    return round(max(seen)) if seen else sum(known)


def _request(runs: Sequence[Result], add: bool) -> Request:
    asked = runs[0].request
    commands = "\n".join(dict.fromkeys(run.request.command for run in runs))
    if not add:
        return msgspec.structs.replace(asked, command=commands, workers=max(run.request.workers for run in runs))
    targets = [run.request.target_per_s for run in runs]
    return msgspec.structs.replace(
        asked,
        command=commands,
        workers=sum(run.request.workers for run in runs),
        target_per_s=None if None in targets else sum(target or 0 for target in targets),
        workload=msgspec.structs.replace(asked.workload, rate=sum(run.request.workload.rate for run in runs)),
        faults=[fault for run in runs for fault in run.request.faults],
    )


def _notes(runs: Sequence[Result], how: How) -> list[str]:
    starts = ", ".join(run.started_at for run in runs)
    gaps = [round(_span(b).start - _span(a).end) for a, b in pairwise(runs)]
    range_s = f"{min(gaps)} to {max(gaps)}" if min(gaps) < max(gaps) else f"{gaps[0]}"
    spread = f", {range_s} s apart" if how == "repeats" and min(gaps) >= 0 else ""
    said = (
        f"merged from {len(runs)} {how} of one run"
        if how == "generators"
        else f"merged from {len(runs)} repeats{spread}"
    )
    return [f"{said}: {starts}", *dict.fromkeys(note for run in runs for note in run.notes)]
