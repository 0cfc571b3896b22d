"""The highest rate that holds: which rate to try next, and when the search is over. Pure, but for the short driver.

States: climbing (×1.5 until a step fails; ÷1.5 when already the first one does), halving (between the highest rate
that held and the lowest that failed, until they are within 3 %), confirming (a full run at what was found; a failure
steps 4 % down), seconding (a full run at 70 % of it), over. Invariant: a rate is only called found when a run of full
length held at it, and another at 70 % of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from queen.bench.ab import step_of
from queen.bench.result import Result, Step, Verdict

STEP_S: Final = 10.0
FACTOR: Final = 1.5
PRECISION: Final = 0.03
STEP_DOWN: Final = 0.04
SECOND_SHARE: Final = 0.7
STEPS_MAX: Final = 40
CONFIRMATIONS_MAX: Final = 6
RATE_MIN: Final = 1.0
RATE_MAX: Final = 10_000_000.0

State = Literal["climbing", "halving", "confirming", "seconding", "over"]


@dataclass(frozen=True, slots=True)
class Try:
    """A rate to try: for `seconds`, or at full length (None)."""

    rate: float
    seconds: float | None


class Search:
    """`next()` says what to try, `tell()` how it went; `next()` is None when it is over."""

    def __init__(self, start: float, *, rate_min: float = RATE_MIN, rate_max: float = RATE_MAX) -> None:
        self.state: State = "climbing"
        self.found: float | None = None
        """The confirmed rate."""
        self.why = ""
        """Once it is over: why nothing was found."""
        self._rate = min(max(start, rate_min), rate_max)
        self._held: float | None = None
        self._failed: float | None = None
        self._bounds = (rate_min, rate_max)
        self._steps = self._confirmations = 0

    def next(self) -> Try | None:
        """What to try now; the same again until `tell` was called."""
        if self.state == "over":
            return None
        if self.state == "seconding":
            return Try(self._rate * SECOND_SHARE, None)
        return Try(self._rate, None if self.state == "confirming" else STEP_S)

    def tell(self, held: bool) -> None:
        """How the last try went. An invalid run did not hold."""
        if self.state in ("climbing", "halving"):
            self._steps += 1
            if held:
                self._held = self._rate
            else:
                self._failed = self._rate
            self._choose()
        elif self.state == "confirming" and held:
            self.state = "seconding"
        elif self.state == "seconding" and held:
            self.found = self._rate
            self.state = "over"
        elif self.state != "over":
            self._step_down()

    def _choose(self) -> None:
        """The next rate of a short step, or the first to confirm."""
        low, high = self._bounds
        if self._steps >= STEPS_MAX:
            self._confirm(f"not found in {STEPS_MAX} steps")
        elif self._held is None:
            self._go(self._rate / FACTOR, "climbing", f"no rate held, down to {low:,.4g} msg/s", beyond=low)
        elif self._failed is None:
            if self._rate >= high:
                self._confirm()
            else:
                self._rate = min(self._rate * FACTOR, high)
        elif self._failed / self._held <= 1 + PRECISION:
            self._confirm()
        else:
            self.state = "halving"
            self._rate = (self._held * self._failed) ** 0.5

    def _confirm(self, why: str = "") -> None:
        if self._held is None:
            self.state, self.why = "over", why
        else:
            self.state, self._rate = "confirming", self._held

    def _step_down(self) -> None:
        self._confirmations += 1
        if self._confirmations >= CONFIRMATIONS_MAX:
            self.state = "over"
            self.why = f"{CONFIRMATIONS_MAX} runs of full length failed, down to {self._rate:,.0f} msg/s"
            return
        self._go(self._rate * (1 - STEP_DOWN), "confirming", "no rate was confirmed", beyond=self._bounds[0])

    def _go(self, rate: float, state: State, why: str, *, beyond: float) -> None:
        """On to a lower rate, or the end when the last one was at the bound already."""
        if self._rate <= beyond:
            self.state, self.why = "over", why
        else:
            self.state, self._rate = state, max(rate, beyond)


def backlog_grows(seconds: Sequence[float], backlog: Sequence[float | None], rate: float) -> bool:
    """Whether a backlog rises over a step: its slope is above 1 % of the offered rate, and above its own error.

    A slope of exactly zero is never seen; less than 1 % is what a sample at the wrong moment gives.
    """
    known = [(at, held) for at, held in zip(seconds, backlog, strict=True) if held is not None]
    if len(known) < 3:
        return False
    at, held = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True))
    centred = at - at.mean()
    slope = float((centred * held).sum() / (centred**2).sum())
    left = held - held.mean() - slope * centred
    error = float(np.sqrt((left**2).sum() / (len(known) - 2) / (centred**2).sum()))
    return slope > 0.01 * rate and slope > 2 * error


RunStep = Callable[[float, float], Awaitable[Step]]
RunFull = Callable[[float], Awaitable[Result]]


@dataclass(slots=True)
class Found:
    """What a campaign of this kind needs. `runs`: the confirmed pair, at the rate and at 70 % of it; else empty."""

    rate: float | None = None
    steps: list[Step] = field(default_factory=list)
    runs: list[Result] = field(default_factory=list)
    why: str = ""
    wrong: Verdict | None = None

    def verdict(self) -> Verdict:
        """Pass with the pair; wrong when a ledger was not clean; else fail, with the reason."""
        if self.wrong is not None:
            return self.wrong
        if self.rate is None:
            return Verdict(word="fail", exit_code=1, line=f"FAIL search · {self.why}", reasons=[self.why])
        waits = [step_of("full", 0, run) for run in self.runs]
        peak, second = (_ms(step.e2e_p99_ms or step.response_p99_ms) for step in waits)
        line = f"PASS highest rate {self.rate:,.0f} msg/s · p99 {peak} · at 70 % p99 {second}"
        return Verdict(word="pass", exit_code=0, line=line, reasons=[])


async def search(run_step: RunStep, run_full: RunFull, start: float, *, found: Found | None = None) -> Found:
    """Drive a search. `run_step(rate, seconds)` makes a short step, judges it (objectives, `backlog_grows`), and lets
    the backlog drain; `run_full(rate)` makes a whole run. A run that is wrong or partial ends the search. What was
    tried is in `found` also after a cancellation."""
    seeking, found = Search(start), found or Found()
    pair: list[Result] = []
    while (trial := seeking.next()) is not None:
        if trial.seconds is not None:
            step = await run_step(trial.rate, trial.seconds)
            found.steps.append(step)
            seeking.tell(step.held)
            continue
        result = await run_full(trial.rate)
        word = result.verdict.word
        found.steps.append(step_of(f"full {trial.rate:,.0f}", len(found.steps) + 1, result))
        if word in ("wrong", "partial"):
            found.wrong = result.verdict
            return found
        pair = ([*pair, result] if seeking.state == "seconding" else [result]) if word == "pass" else []
        seeking.tell(word == "pass")
    found.rate, found.why = seeking.found, seeking.why
    found.runs = pair if seeking.found is not None else []
    return found


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g} ms"
