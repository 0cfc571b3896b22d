"""The pauses between tries."""

from __future__ import annotations

import pytest

from queen.client.retry import RetryPolicy, pause_ms

POLICY = RetryPolicy(wait_ms=100, wait_ms_max=5_000)


@pytest.mark.parametrize(("attempt", "bound"), [(1, 100), (2, 200), (4, 800), (7, 5_000), (10_000, 5_000)])
def test_pauses_double_up_to_the_bound_and_are_spread_over_all_of_it(attempt: int, bound: float) -> None:
    pauses = [pause_ms(POLICY, attempt, None) for _ in range(2_000)]
    assert max(pauses) <= bound
    # Full jitter: from nothing to the bound. 2,000 draws miss a tenth of the range about once in 10^91 runs.
    assert min(pauses) < bound / 10
    assert max(pauses) > bound * 9 / 10


def test_a_wait_that_the_server_asked_for_is_kept() -> None:
    pauses = [pause_ms(POLICY, 1, 2_000) for _ in range(500)]
    assert min(pauses) >= 2_000
    assert max(pauses) <= 2_400
    assert len(set(pauses)) > 1
