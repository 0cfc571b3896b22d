"""When the client tries again, and how long it waits. Knows nothing of HTTP: it looks at `queen.errors` only.

Every call of the message plane may arrive twice: a push carries its transaction ids, a repeated ack changes nothing,
and the lease of a lost pop answer runs out. So whatever is marked `retryable` is repeated, with exponential back-off
and full jitter (no thundering herd after an outage), until the patience is used up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from queen.errors import QueenError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of the retries of one call. All durations in milliseconds. With several servers the pauses begin when
    each has failed once."""

    patience_ms: int = 30_000
    """No further try starts later than this after the first one."""
    first_patience_ms: int = 3_000
    """The same while this client has never reached the server: a wrong URL should be told soon."""
    wait_ms: int = 100
    """Upper bound of the first pause; it doubles from try to try."""
    wait_ms_max: int = 5_000
    """Upper bound of any pause, but for one that the server asked for."""


NO_RETRY: Final = RetryPolicy(patience_ms=0, first_patience_ms=0)
"""One try, whatever comes of it."""


def retrying(
    policy: RetryPolicy,
    reached: Callable[[], bool],
    on_retry: Callable[[], None],
    elsewhere: Callable[[], bool],
) -> AsyncRetrying:
    """The retry loop of one call. `reached` says whether any answer ever came, `elsewhere` whether another server can
    be tried at once; `on_retry` counts."""

    def spent(state: RetryCallState) -> bool:
        patience_ms = policy.patience_ms if reached() else min(policy.first_patience_ms, policy.patience_ms)
        return ((state.seconds_since_start or 0.0) + state.upcoming_sleep) * 1000 > patience_ms

    def pause(state: RetryCallState) -> float:
        if elsewhere():
            return 0.0
        return pause_ms(policy, state.attempt_number, _asked_ms(state)) / 1000

    return AsyncRetrying(
        retry=retry_if_exception(_is_retryable),
        wait=pause,
        stop=spent,
        before_sleep=lambda _: on_retry(),
        reraise=True,
    )


def pause_ms(policy: RetryPolicy, attempt: int, asked_ms: int | None) -> float:
    """Milliseconds to wait after a try (counted from 1). A wait that the server asked for is kept, spread upwards."""
    if asked_ms is not None:
        return asked_ms * random.uniform(1.0, 1.2)
    # The exponent is capped so that a long outage cannot overflow.
    return random.uniform(0, min(policy.wait_ms_max, policy.wait_ms * 2 ** min(attempt - 1, 20)))


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, QueenError) and error.retryable


def _asked_ms(state: RetryCallState) -> int | None:
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after_ms", None)
    return asked if isinstance(asked, int) else None
