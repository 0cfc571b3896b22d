"""Is B better than A? The verdict over two runs, or over pairs of them, with the interval of every metric.

One metric decides, and is named before; the others inform. Statistics are those of `queen.measure.compare`, metrics
those of `compared`, words for people those of `compare_text`. Reads no file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
import numpy as np

from queen.bench import compared
from queen.bench.ab import PAIRS_MIN
from queen.bench.compared import Metric, NotComparable
from queen.bench.result import Campaign, Result
from queen.errors import ComparisonRefused, SettingsError
from queen.measure import compare as statistics
from queen.measure.compare import MIN_EFFECT, RESAMPLES, Ratio, Word
from queen.settings.sources import nearest

DECIDES: Final = "response_p99"
DECIDES_ACROSS: Final = "cpu_us"
GATE: Final = ("statements", "wal_bytes", "cpu_us")
"""Costs that are steady on noisy machines: each of them decides at the gate."""
GUARDS: Final = ("rate", "response_p99")
GUARD_EFFECT: Final = 0.5
"""What wall-clock figures may lose before the gate closes."""
EXIT_CODES: Final[dict[Word, int]] = {"better": 0, "same": 0, "worse": 1, "inconclusive": 5}


class MetricComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One metric. Ratio and interval are B/A; without them `reason` says why. `a` and `b` are means (geometric) over
    the runs."""

    name: str
    unit: str
    better: Literal["higher", "lower"]
    a: float | None
    b: float | None
    ratio: float | None
    low: float | None
    high: float | None
    word: Word
    decides: bool
    min_effect: float
    further_pairs: int | None = None
    """How many more pairs would likely decide; null when it is decided, when runs are single, or beyond 500."""
    reason: str | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. `basis` `within_run`: two single runs, whose difference may be that of two days."""

    basis: Literal["pairs", "within_run"]
    pairs: int
    decide: list[str]
    word: Word
    exit_code: int
    line: str
    min_effect: float
    confidence: float
    resamples: int
    seed: int
    across: bool
    gate: bool
    metrics: list[MetricComparison]
    notes: list[str]

    def builtins(self) -> dict[str, Any]:
        """As `Campaign.comparison` keeps it."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def compare(
    a: Result | Sequence[Result],
    b: Result | Sequence[Result],
    *,
    across: bool = False,
    decide: str | None = None,
    min_effect: float = MIN_EFFECT,
    gate: bool = False,
    seed: int = 1,
    resamples: int = RESAMPLES,
) -> Comparison:
    """B against A: single runs, or as many of each, of which `a[i]` and `b[i]` ran side by side.

    `decide` is a metric of `compared.METRICS` (response_p99; cpu_us across machines). `across` lets fingerprints
    differ, and leaves only costs per message. `gate`: costs decide together, wall-clock figures guard widely.
    Raises ComparisonRefused for runs that cannot be a side, SettingsError for options that make no sense.
    """
    sides = ([a] if isinstance(a, Result) else list(a), [b] if isinstance(b, Result) else list(b))
    deciding = _deciding(decide, across=across, gate=gate, min_effect=min_effect)
    _admit(sides, across)
    pairs = len(sides[0]) if len(sides[0]) > 1 else 0
    metrics = []
    for metric in compared.METRICS:
        if across and metric.kind != "cost":
            continue
        effect = GUARD_EFFECT if gate and metric.name in GUARDS else min_effect
        found = _metric(sides, metric, effect, decides=metric.name in deciding, seed=seed, resamples=resamples)
        metrics.append(found)
    word = _gate_word(metrics) if gate else next(one.word for one in metrics if one.decides)
    notes = _notes(sides, pairs, across)
    basis: Literal["pairs", "within_run"] = "pairs" if pairs else "within_run"
    return Comparison(
        basis=basis,
        pairs=pairs,
        decide=list(deciding),
        word=word,
        exit_code=EXIT_CODES[word],
        line=_line(word, metrics, pairs),
        min_effect=min_effect,
        confidence=statistics.CONFIDENCE,
        resamples=resamples,
        seed=seed,
        across=across,
        gate=gate,
        metrics=metrics,
        notes=notes,
    )


def sides_of(loaded: Sequence[Result | Campaign]) -> tuple[list[Result], list[Result]]:
    """The sides in what was read from files: two single runs, or one interleaved comparison, whose pairs are kept as
    A, B, A, B, … Raises ComparisonRefused for anything else."""
    if len(loaded) == 2 and all(isinstance(one, Result) for one in loaded):
        runs = [one for one in loaded if isinstance(one, Result)]
        return runs[:1], runs[1:]
    if len(loaded) == 1 and isinstance(loaded[0], Campaign) and loaded[0].kind == "ab":
        held = loaded[0].runs
        if len(held) < 2:
            raise ComparisonRefused("this comparison holds no whole pair: it was stopped before", hint=_HINT)
        whole = len(held) // 2 * 2
        return held[0:whole:2], held[1:whole:2]
    kinds = ", ".join(one.kind for one in loaded)
    raise ComparisonRefused(f"cannot compare {kinds or 'nothing'}", hint=_HINT)


_HINT: Final = "give two result files of single runs, or one of --ab"


def _deciding(decide: str | None, *, across: bool, gate: bool, min_effect: float) -> tuple[str, ...]:
    if not 0 < min_effect < 1:
        raise SettingsError(f"min-effect {min_effect:g}: must be above 0 and below 1, such as 0.03 for 3 %")
    if gate and decide is not None:
        raise SettingsError(f"the gate decides by {', '.join(GATE)}; leave out {decide}")
    if gate:
        return GATE
    name = decide or (DECIDES_ACROSS if across else DECIDES)
    if name not in compared.BY_NAME:
        hint = f"metrics: {', '.join(compared.BY_NAME)}"
        raise SettingsError(f"{name}: unknown metric of a comparison{nearest(name, compared.BY_NAME)}", hint=hint)
    if across and compared.BY_NAME[name].kind != "cost":
        raise SettingsError(f"{name} cannot decide across machines; a cost per message can, such as {DECIDES_ACROSS}")
    return (name,)


_UNFIT: Final = {
    "partial": "it was cut short",
    "invalid": "its figures mean nothing",
    "wrong": "it lost or spoilt messages, which no speed makes good",
}


def _admit(sides: tuple[list[Result], list[Result]], across: bool) -> None:
    if not sides[0] or len(sides[0]) != len(sides[1]):
        raise ComparisonRefused(f"cannot pair {len(sides[0])} runs of A with {len(sides[1])} of B", hint=_HINT)
    for label, runs in zip("AB", sides, strict=True):
        for run in runs:
            word = "partial" if run.partial else run.verdict.word
            if word in _UNFIT:
                reasons = f" ({'; '.join(run.verdict.reasons)})" if run.verdict.reasons else ""
                raise ComparisonRefused(
                    f"{label} of {run.started_at} is {word}{reasons}: {_UNFIT[word]}",
                    hint="only runs that passed or failed can be compared; run it again",
                )
    if not across and len({run.fingerprint_hash for runs in sides for run in runs}) > 1:
        raise ComparisonRefused(
            "A and B have different fingerprints: they ran on different machines, databases or settings of them",
            hint="--across compares their costs per message alone; rates and latencies do not travel",
        )


def _metric(
    sides: tuple[list[Result], list[Result]], metric: Metric, effect: float, *, decides: bool, seed: int, resamples: int
) -> MetricComparison:
    found: Ratio | None = None
    further = reason = None
    word: Word = "inconclusive"
    values: tuple[float | None, float | None] = (None, None)
    try:
        a, b = (np.array([compared.value(run, metric) for run in runs]) for runs in sides)
        values = (_mean(a), _mean(b))
        if a.size > 1:
            found = statistics.of_pairs(a, b, seed=seed, resamples=resamples)
            word = statistics.judge(found, metric.better, min_effect=effect)
            if a.size < PAIRS_MIN:
                word, reason = "inconclusive", f"{a.size} pairs are an anecdote; {PAIRS_MIN} are needed"
            elif word == "inconclusive":
                further = statistics.further_pairs(a, b, min_effect=effect)
        else:
            found = _within_run(sides[0][0], sides[1][0], metric, seed, resamples, float(b[0] / a[0]))
            word = statistics.judge_single(found, metric.better, min_effect=effect)
    except (NotComparable, ValueError) as error:
        reason = str(error)
    return MetricComparison(
        name=metric.name,
        unit=metric.unit,
        better=metric.better,
        a=values[0],
        b=values[1],
        ratio=found.ratio if found else None if None in values else _ratio(values),
        low=found.low if found else None,
        high=found.high if found else None,
        word=word,
        decides=decides,
        min_effect=effect,
        further_pairs=further,
        reason=reason,
    )


def _within_run(a: Result, b: Result, metric: Metric, seed: int, resamples: int, ratio: float) -> Ratio:
    """The interval that the slices give, around the ratio of the whole runs."""
    slices_a, block, statistic_a = compared.statistic(a, metric)
    slices_b, block_b, statistic_b = compared.statistic(b, metric)
    found = statistics.of_blocks(
        slices_a, slices_b, statistic_a, statistic_b, block=max(block, block_b), seed=seed, resamples=resamples
    )
    shift = ratio / found.ratio
    return Ratio(ratio, found.low * shift, found.high * shift)


def _mean(values: statistics.Floats) -> float:
    return math.exp(float(np.log(values).mean()))


def _ratio(values: tuple[float | None, float | None]) -> float:
    assert values[0] is not None
    assert values[1] is not None
    return values[1] / values[0]


def _gate_word(metrics: Sequence[MetricComparison]) -> Word:
    """Costs decide together; a guard can only close the gate, and one that cannot tell does not."""
    costs = [one.word for one in metrics if one.decides]
    if "worse" in costs or any(one.name in GUARDS and one.word == "worse" for one in metrics):
        return "worse"
    if "inconclusive" in costs:
        return "inconclusive"
    return "better" if "better" in costs else "same"


def _notes(sides: tuple[list[Result], list[Result]], pairs: int, across: bool) -> list[str]:
    first, second = sides[0][0].request.workload, sides[1][0].request.workload
    stated = {"name", "version", "about", "slos"}
    differing = [
        f"{name} {getattr(first, name)} → {getattr(second, name)}"
        for name in first.__struct_fields__
        if name not in stated and getattr(first, name) != getattr(second, name)
    ]
    notes = [f"workloads differ: {', '.join(differing)}"] if differing else []
    if not pairs:
        scatter = f"{statistics.RUN_NOISE * 100:g} %"
        notes.append(
            f"within-run only: the intervals leave out scatter between runs; better and worse allow {scatter} for it"
        )
    if across:
        notes.append("across fingerprints: costs per message alone")
    return notes


def _line(word: Word, metrics: Sequence[MetricComparison], pairs: int) -> str:
    """One line for people and grep."""
    deciding = [one for one in metrics if one.decides]
    closing = [one for one in metrics if one.word == word and (one.decides or (one.name in GUARDS and word == "worse"))]
    told = next(iter([one for one in closing if one.decides] or closing or deciding))
    parts = [f"{word.upper()} {told.name} {_interval(told)}", f"{pairs} pairs" if pairs else "within-run only"]
    if word == "inconclusive" and told.further_pairs:
        parts.append(f"about {told.further_pairs} further pairs needed")
    if told.reason:
        parts.append(told.reason)
    return " · ".join(parts)


def _interval(one: MetricComparison) -> str:
    if one.ratio is None:
        return "B/A n/a"
    if one.low is None:
        return f"B/A {one.ratio:.3f}"
    return f"B/A {one.ratio:.3f} ({one.low:.3f} to {one.high:.3f})"
