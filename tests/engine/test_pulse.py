"""The lag of the event loop is what a blocking call makes it."""

from __future__ import annotations

import asyncio
import time

from queen.engine.board import Numbers
from queen.engine.pulse import Pulse


def test_a_call_that_blocks_the_loop_shows_and_is_forgotten() -> None:
    async def work() -> tuple[float, float]:
        pulse = Pulse()
        pulse.start()
        try:
            await asyncio.sleep(0.15)
            time.sleep(0.5)  # noqa: ASYNC251 - this is what it is about
            while not pulse.lag_ms:  # noqa: ASYNC110 - it announces nothing
                await asyncio.sleep(0.02)
            late = pulse.lag_ms
            while pulse.lag_ms == late:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            return late, pulse.lag_ms
        finally:
            pulse.stop()

    late, later = asyncio.run(work())
    assert late >= 350
    assert later < late


def test_of_several_processes_the_latest_counts() -> None:
    total = Numbers(gauges={"loop_lag_ms": 3.0, "leases": 3})
    total.add(Numbers(gauges={"loop_lag_ms": 2.0, "leases": 2}))
    assert total.gauges == {"loop_lag_ms": 3.0, "leases": 5}
