"""What dead rows cost today: the calls that S1 finds to be dearer than in the days before, and to read more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from queen.doctor.check import Query, Seen
from queen.doctor.checks.statements.s1_baseline import CHECK as S1
from queen.doctor.finding import NO_STAKE, Stake
from queen.errors import CannotLook

CALLS: Final[Mapping[str, Query]] = S1.queries
"""For checks of type delta that want to know. All are optional: without them nothing is known to be at stake."""


def by_reading_more(seen: Seen) -> Stake:
    """The most that one of these calls would bring back. Its share of the time stays with S1, so that it counts once
    in what all findings cost together."""
    try:
        found = list(S1.evaluate(replace(seen, limits=S1.thresholds)))
    except CannotLook:  # no baseline, or too few calls
        return NO_STAKE
    # S1 offers a vacuum for calls that read more than before; the others wait for something else.
    stakes = [finding.at_stake for finding in found if finding.fix is not None]
    worst = max(stakes, key=lambda stake: stake.high_pct or 0.0, default=NO_STAKE)
    return replace(worst, time_share=None)
