"""A comparison as text for the terminal, and as the record of an interleaved one. Judges nothing."""

from __future__ import annotations

from queen.bench.ab import Interleaved
from queen.bench.compare import Comparison, MetricComparison
from queen.bench.result import Campaign, Verdict, Word


def text(comparison: Comparison) -> str:
    """The table, notes, and the verdict line last. Within 100 columns."""
    head = f"{'':2}{'metric':<18}{'A':>12}{'B':>12} {'unit':<8}{'B/A':>7}  {'95 % interval':<18}{'':<14}"
    basis = f"{comparison.pairs} pairs" if comparison.pairs else "two single runs"
    effect = f"{comparison.min_effect * 100:g} %"
    parameters = (
        f"compare  {basis}  decides {', '.join(comparison.decide)}  smallest effect {effect}  "
        f"{comparison.resamples:,} resamples  seed {comparison.seed}"
    )
    rows = [_row(one) for one in comparison.metrics]
    notes = [f"note   {note}" for note in comparison.notes]
    return "\n".join([parameters, "", head.rstrip(), *rows, "", *notes, f"result {comparison.line}"])


def verdict(comparison: Comparison) -> Verdict:
    """As a campaign states it: better and same pass, worse fails, inconclusive is no answer."""
    words: dict[str, Word] = {"better": "pass", "same": "pass", "worse": "fail", "inconclusive": "invalid"}
    reasons = [] if comparison.exit_code == 0 else [comparison.line]
    return Verdict(word=words[comparison.word], exit_code=comparison.exit_code, line=comparison.line, reasons=reasons)


def campaign(
    done: Interleaved,
    comparison: Comparison | None,
    *,
    queen_version: str,
    started_at: str,
    duration_s: float,
    command: str,
    partial: bool = False,
) -> Campaign:
    """The record of `--ab`. `comparison` is null when not two whole pairs were run. A run with a ledger that is not
    clean decides alone."""
    reason = done.stopped or "interrupted before two pairs were complete"
    none = Verdict(word="invalid", exit_code=5, line=f"INCONCLUSIVE · {reason}", reasons=[reason])
    stated = done.wrong or (none if comparison is None else verdict(comparison))
    return Campaign(
        kind="ab",
        queen_version=queen_version,
        started_at=started_at,
        duration_s=duration_s,
        partial=partial or done.stopped is not None,
        command=command,
        steps=done.steps,
        runs=done.runs(),
        comparison=comparison.builtins() if comparison else None,
        verdict=stated,
        notes=[done.stopped] if done.stopped else [],
    )


def _row(one: MetricComparison) -> str:
    mark = "*" if one.decides else ""
    ratio = "n/a" if one.ratio is None else f"{one.ratio:.3f}"
    interval = "" if one.low is None else f"{one.low:.3f} to {one.high:.3f}"
    words = one.reason or one.word
    if one.further_pairs:
        words += f", {one.further_pairs} more pairs"
    row = f"{mark:2}{one.name:<18}{_value(one.a):>12}{_value(one.b):>12} {one.unit:<8}{ratio:>7}  {interval:<18}{words}"
    return row.rstrip()


def _value(value: float | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
