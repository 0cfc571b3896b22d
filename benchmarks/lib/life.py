"""The plan of a closed loop of whole lives, for commands that look at something else while messages flow."""

from __future__ import annotations

import secrets
from typing import Final

from benchmarks.lib.plan import Plan, steps_for
from benchmarks.lib.shell import Common
from benchmarks.lib.target import Target

MESSAGES_MAX: Final = 100_000_000
BACKLOG_BATCHES: Final = 128


def life_plan(
    name: str, options: Common, target: Target, *, size: int, partitions: int, windows: int, seconds: float
) -> Plan:
    """`windows` measured windows of `seconds` each, one after the other, on a queue of its own."""
    run_id = secrets.token_hex(4)
    return Plan(
        host=target.host,
        port=target.port,
        run_id=run_id,
        queue=f"{name}-{run_id}",
        group="",
        size=size,
        spread=1,
        partitions=partitions,
        connections=options.connections,
        payload_bytes=options.payload_bytes,
        backlog_max=BACKLOG_BATCHES * size,
        messages_max=MESSAGES_MAX,
        stall_s=options.stall,
        seed=options.seed,
        steps=steps_for(["life"], windows, options.warmup, seconds),
    )
