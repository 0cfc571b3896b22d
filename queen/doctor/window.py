"""How long a run looks, and how often meanwhile."""

from __future__ import annotations

from typing import Final

WINDOW_S: Final = 30.0
"""Between the two samples. A run takes 0.6 s of processor time, most of it for its start: over 30 s that is
less than a hundredth of two processors, over 10 s it is not. And the rates say more."""

LOOKS: Final = 100
"""At what sessions wait for, over a window however long. A share of a half is then told to 10 points in 95 of 100 runs
at the worst, when one session is active at a time. Looks further apart say more: no wait is met by two of them."""

_PERIOD_MIN_S: Final = 0.1
_PERIOD_MAX_S: Final = 1.0


def period(window_s: float) -> float:
    """Seconds between two looks."""
    return min(_PERIOD_MAX_S, max(_PERIOD_MIN_S, window_s / LOOKS))
