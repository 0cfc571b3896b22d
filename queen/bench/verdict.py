"""The verdict: wrong over invalid over fail over pass, and the one line that says it.

Wrong: the ledger found what must never be. Invalid: the run does not answer the question. A run that is either has no
headline figures. Knows nothing of how anything was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from queen.bench import percentiles
from queen.bench.facts import Facts
from queen.bench.objective import Slo
from queen.bench.result import Conditions, LedgerReport, NullRun, SloOutcome, Verdict, Word
from queen.bench.slo import TOO_FEW

EXIT_CODES: Final[dict[Word, int]] = {"pass": 0, "fail": 1, "invalid": 5, "wrong": 6, "partial": 130}
LAG_MS_DEFAULT: Final = 5.0
CPU_SHARE_MAX: Final = 0.8
_NEVER: Final = ("lost", "corrupt", "ghost", "reordered")
_SHOWN_MAX: Final = 3
VALIDITY: Final = ("generator-limited: ", "not steady: ", "environment: ")
"""How the reasons begin for which a run does not answer the question, whatever its objectives are."""


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How the run was held: what decides whether it answers the question. Shares are of one core."""

    null_run: NullRun | None = None
    steady: bool = True
    environment: Sequence[str] = ()
    """What changed under way, or disturbed it."""
    cpu_share_max: float | None = None
    """The busiest worker, in the measured time."""
    overflow: int = 0
    """Messages that had to wait for the bound of what is in flight."""
    server_full: bool = False
    """The server's own bound of requests in flight was reached."""
    partial: bool = False
    """The run was cut short."""
    doubts: Sequence[str] = ()
    """Reasons of an earlier verdict against the run that are kept as they are."""

    def conditions(self) -> Conditions:
        """As the record keeps it, from which `rejudge` makes it again."""
        return Conditions(
            steady=self.steady,
            environment=list(self.environment),
            cpu_share_max=self.cpu_share_max,
            overflow=self.overflow,
            server_full=self.server_full,
        )


def judge(
    facts: Facts,
    outcomes: Sequence[SloOutcome],
    conduct: Conduct,
    *,
    slos: Sequence[Slo] = (),
    seconds: float,
    bottleneck: str | None = None,
) -> Verdict:
    """The verdict of one run. `slos` are the objectives behind `outcomes`, for the limits that lag is held to."""
    wrong = _wrong(facts.ledger)
    doubts = [*validity(facts, conduct, slos), *_few(outcomes)]
    missed = [f"{one.text}: {_how(one)}" for one in outcomes if not one.held]
    if wrong:
        return _verdict("wrong", " ".join(wrong), [*wrong, *doubts])
    if conduct.partial:
        return _verdict("partial", "the run was cut short; nothing is claimed", ["interrupted", *doubts])
    if doubts:
        return _verdict("invalid", _some(doubts), doubts)
    word: Word = "fail" if missed else "pass"
    limits = server_limited(facts, conduct, slos)
    parts = [_rate(facts, seconds), *([f"missed {_some(missed)}"] if missed else []), *_headline(facts, slos)]
    parts.append(_ledger(facts.ledger))
    if bottleneck:
        parts.append(f"bottleneck: {bottleneck}")
    return _verdict(word, " · ".join(part for part in parts if part), [*missed, *(limits if missed else [])])


def lag_limit_ms(slos: Sequence[Slo]) -> float:
    """The generator's lag that a run may have at p99: 10 % of the tightest objective that the lag is a part of."""
    limits = [slo.limit for slo in slos if slo.unit == "ms" and slo.field in ("response", "e2e") and slo.wants_low]
    return 0.1 * min(limits) if limits and min(limits) > 0 else LAG_MS_DEFAULT


def validity(facts: Facts, conduct: Conduct, slos: Sequence[Slo] = ()) -> list[str]:
    """Why the run does not answer the question; empty when it does."""
    reasons = [f"generator-limited: null run: {reason}" for reason in _null_run(conduct.null_run)]
    reasons += _generator(facts, conduct, slos)
    if not conduct.steady:
        reasons.append("not steady: the warm-up did not settle")
    reasons += [f"environment: {change}" for change in conduct.environment]
    return reasons + [doubt for doubt in conduct.doubts if doubt not in reasons]


def server_limited(facts: Facts, conduct: Conduct, slos: Sequence[Slo] = ()) -> list[str]:
    """What says that it was the server that made messages wait; empty when nothing does."""
    if not conduct.overflow:
        return []
    limit = lag_limit_ms(slos)
    signs = ["its bound of requests in flight was reached"] if conduct.server_full else []
    wait, service = _p99(facts, "connection_wait"), _p99(facts, "service")
    if wait is not None and wait > limit:
        signs.append(f"connection wait p99 {percentiles.milliseconds(wait)}")
    if service is not None and service > 10 * limit:
        signs.append(f"service p99 {percentiles.milliseconds(service)}")
    return [f"server-limited: {conduct.overflow:,} messages waited; {sign}" for sign in signs]


def _generator(facts: Facts, conduct: Conduct, slos: Sequence[Slo]) -> list[str]:
    """Lag alone may be the wait behind a slow server; a busy worker is our own fault whatever the server does."""
    reasons = []
    limit, lag = lag_limit_ms(slos), _p99(facts, "generator_lag")
    if conduct.cpu_share_max is not None and conduct.cpu_share_max > CPU_SHARE_MAX:
        reasons.append(f"generator-limited: a worker used {conduct.cpu_share_max:.0%} of a core")
    elif lag is not None and lag > limit and not server_limited(facts, conduct, slos):
        shown = percentiles.milliseconds(lag)
        reasons.append(f"generator-limited: lag p99 {shown} (limit {percentiles.milliseconds(limit)})")
    elif conduct.overflow and not server_limited(facts, conduct, slos):
        reasons.append(f"generator-limited: {conduct.overflow:,} messages waited, and the server was not slow")
    return reasons


def _null_run(null_run: NullRun | None) -> list[str]:
    if null_run is None or null_run.ok:
        return []
    return list(null_run.reasons) or ["not ok"]


def _few(outcomes: Sequence[SloOutcome]) -> list[str]:
    """Objectives that a longer run could have judged."""
    return [f"{one.text}: {one.reason}" for one in outcomes if (one.reason or "").startswith(TOO_FEW)]


def _wrong(ledger: LedgerReport | None) -> list[str]:
    counts = [(name, getattr(ledger, name)) for name in _NEVER] if ledger else []
    return [f"{name} {count:,}" for name, count in counts if count]


def _how(outcome: SloOutcome) -> str:
    if outcome.value is None:
        return outcome.reason or "not measured"
    return f"{outcome.value_text} ({outcome.reason})" if outcome.reason else outcome.value_text


def _p99(facts: Facts, metric: str) -> float | None:
    histogram = facts.latency.get(metric)
    return percentiles.at(histogram, 99.0) if histogram else None


def _rate(facts: Facts, seconds: float) -> str:
    rate = next((rate for rate in (facts.delivered, facts.accepted, facts.offered) if rate), None)
    shown = facts.target if facts.target and rate and rate >= 0.99 * facts.target else rate
    return f"{shown or 0:,.0f} msg/s for {seconds:,.0f} s"


def _headline(facts: Facts, slos: Sequence[Slo]) -> list[str]:
    """The one latency that says most: end-to-end, or of the push where nobody consumed; with its objective."""
    for metric in ("e2e", "response"):
        value = _p99(facts, metric)
        if value is not None:
            limits = [slo for slo in slos if slo.metric == "p99" and slo.field == metric and slo.wants_low]
            tight = min(limits, key=lambda slo: slo.limit, default=None)
            return [
                f"{metric} p99 {percentiles.milliseconds(value)}" + (f" ({tight.op} {tight.limit:g})" if tight else "")
            ]
    return []


def _ledger(ledger: LedgerReport | None) -> str:
    if ledger is None:
        return ""
    lost = f"lost {ledger.lost:,}" if ledger.complete else "lost not known"
    early = f" early {ledger.early:,}" if ledger.early else ""
    return f"{lost} dup {ledger.duplicated:,}{early}"


def _some(reasons: Sequence[str]) -> str:
    more = len(reasons) - _SHOWN_MAX
    return "; ".join(reasons[:_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")


def _verdict(word: Word, rest: str, reasons: list[str]) -> Verdict:
    line = " ".join(f"{word.upper()} {rest}".split())
    return Verdict(word=word, exit_code=EXIT_CODES[word], line=line, reasons=reasons)
