"""What load looks like: a value with everything that a schedule, a producer and a consumer need to know.

Knows neither files (`profiles`) nor how load is made (`worker`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Arrivals = Literal["poisson", "uniform"]
AckMode = Literal["batch", "message", "auto"]
Consume = Literal["meanwhile", "later", "never"]


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One shape of load. Rates are messages a second over all workers; sizes are bytes; shares are from 0 to 1.

    A push carries `push_batch` messages of one partition. A message that waits for its push to fill does so for
    `linger_ms` at most (0: as long as it takes), and that wait is part of its latency.
    """

    name: str = "custom"
    version: int = 1
    about: str = ""

    rate: float = 10_000
    arrivals: Arrivals = "poisson"
    payload_bytes: int = 250
    random_share: float = 0.6
    """Part of the payload that does not compress."""

    partitions: int = 100
    keys: str = "uniform"
    """How pushes are spread over partitions: `uniform`, or `zipf(S)` with an exponent above 0."""
    idle_partitions: int = 0
    """Partitions that exist beside those in use, each with one consumed message."""

    push_batch: int = 10
    linger_ms: float = 0
    connections: int = 32
    """Connections that push."""
    churn_per_s: float = 0
    """Part of those connections that is closed and opened again each second."""

    groups: int = 1
    """1 is the queue's own cursor; more are named groups, each of which gets every message."""
    consumers: int = 4
    """Consumers of each group, each with one connection and one pop in flight."""
    pop_batch: int = 100
    pop_partitions: int = 100
    pop_wait_ms: int = 1_000
    ack: AckMode = "batch"
    consume: Consume = "meanwhile"
    lease_s: int = 60
    handler_ms: tuple[float, float] = (0, 0)
    """Simulated work on each popped batch: drawn evenly from this range."""
    nack_share: float = 0
    """Messages acked as `retry` at their first delivery."""
    poison_share: float = 0
    """Messages acked as `failed` at every delivery: they end as dead letters."""
    start_depth: int = 0
    """Messages stored before the clock starts."""

    warmup_s: float = 15
    measure_s: float = 30
    drain_s: float = 60
    slos: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    """Options for a `queen serve` that the bench starts itself, such as `--pool-size 50`, one word each."""
    postgres: tuple[str, ...] = ()
    """Settings of the bench's private PostgreSQL instead of Queen's own, such as `shared_buffers = 1GB`; `defaults`
    alone: those that PostgreSQL comes with. Empty: Queen's own."""
    settings: tuple[str, ...] = ()
    """Settings of the engine of a server that the bench starts itself, such as `engine.pop_gather_ms = 10`: those that
    no option of `queen serve` sets."""
    tables: tuple[str, ...] = ()
    """Storage parameters of Queen's tables on a private PostgreSQL, such as
    `cursors.autovacuum_vacuum_threshold = 1000`."""
