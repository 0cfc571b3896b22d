"""How much throughput a repair can bring: the formulas of the shared note, with their names. Pure.

All answers are percent of today's rate. A share is between 0 and 1.
"""

from __future__ import annotations

from queen.doctor.finding import NO_STAKE, Stake

_SHARE_MAX = 0.95  # a share near 1 would promise any rate; nothing measured by sampling is that certain


def wait_share(share: float, removed: float = 1.0) -> Stake:
    """Sessions spend `share` of their active time in a wait; removing the part `removed` of it gives at most
    1 / (1 - removed × share) - 1."""
    if share <= 0:
        return NO_STAKE
    part = min(share, _SHARE_MAX) * removed
    return Stake("bound", 0.0, _pct(1 / (1 - part) - 1), "wait share", time_share=min(share, _SHARE_MAX))


def wal_ceiling(bytes_now: float, bytes_then: float) -> Stake:
    """A disk that writes so many bytes a second carries now/then - 1 more messages, if the log is what limits."""
    if bytes_then <= 0 or bytes_now <= bytes_then:
        return NO_STAKE
    return Stake("modelled", 0.0, _pct(bytes_now / bytes_then - 1), "WAL ceiling")


def statement_share(share: float, mean_now: float, mean_base: float) -> Stake:
    """A statement takes `share` of all execution time; back at its old mean it gives
    1 / (1 - share × (1 - old/now)) - 1."""
    if share <= 0 or mean_now <= mean_base or mean_now <= 0:
        return NO_STAKE
    part = min(share, _SHARE_MAX) * (1 - mean_base / mean_now)
    return Stake("modelled", 0.0, _pct(1 / (1 - part) - 1), "statement share", time_share=part)


def little(wait_ms: float, hold_ms: float) -> Stake:
    """A call waits `wait_ms` for a connection that it holds for `hold_ms`: without the wait, at most wait/hold more."""
    if wait_ms <= 0 or hold_ms <= 0:
        return NO_STAKE
    share = min(wait_ms / (wait_ms + hold_ms), _SHARE_MAX)
    return Stake("bound", 0.0, _pct(1 / (1 - share) - 1), "Little", time_share=share)


def commit_ceiling(rows_now: float, rows_then: float, share: float) -> Stake:
    """Commits a second are bounded by the disk; `rows_then` instead of `rows_now` a commit frees that part of the
    time spent in commits (`share`)."""
    if rows_then <= rows_now or share <= 0:
        return NO_STAKE
    part = min(share, _SHARE_MAX) * (1 - rows_now / rows_then)
    return Stake("modelled", 0.0, _pct(1 / (1 - part) - 1), "commit ceiling", time_share=part)


def _pct(fraction: float) -> float:
    return round(100 * fraction, 1)
