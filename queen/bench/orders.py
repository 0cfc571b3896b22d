"""What the bench and its worker processes say to each other: orders down, reports up.

Each is one msgpack frame behind a length of four bytes (big-endian), on the worker's standard input and output. All
times are nanoseconds of the machine's monotonic clock (`time.perf_counter_ns`), which the processes of one machine
share. Plain values only; who sends what when, `crew` and `worker` know.
"""

from __future__ import annotations

import msgspec

from queen.bench.workload import Workload

METRICS = ("response", "generator_lag", "connection_wait", "service", "e2e", "ack", "pop")
"""The latencies that a worker records, per message but for `ack` and `pop`, which are per request.

response: intended send → answer. generator_lag: intended → taken up by the worker; for a message of a batch, the moment
at which its batch was due → taken up. connection_wait: taken up → first byte written. service: first byte written →
answer. e2e: intended send → the consumer has it, first deliveries only. ack: the consumer has it → ack confirmed,
without the handler. pop: request written → answer, of pops that brought messages.
"""


class Plan(msgspec.Struct, frozen=True, kw_only=True, tag="plan"):
    """The first order: everything that stays the same for this worker. Answered by `Ready` once it has connected."""

    run_id: str
    worker: int
    workers: int
    seed: int
    targets: tuple[str, ...]
    """host:port; connections are spread over them."""
    queue: str
    groups: tuple[str, ...]
    """Empty name: the queue's own cursor."""
    workload: Workload
    inflight_max: int
    """Messages sent and not answered, of this worker; what is due beyond it waits and is counted as overflow."""
    request_timeout_s: float = 30


class Produce(msgspec.Struct, frozen=True, kw_only=True, tag="produce"):
    """Send `rate` messages a second (of all workers together) from `start_ns`, until `end_ns`, StopProducing or
    `messages` of all workers together. Replaces what was ordered before; key sequences go on."""

    phase: str
    rate: float
    start_ns: int
    end_ns: int | None = None
    messages: int | None = None


class Consume(msgspec.Struct, frozen=True, tag="consume"):
    """Start to pop and ack, on all consumers of this worker."""


class StopProducing(msgspec.Struct, frozen=True, tag="stop_producing"):
    """Send nothing new. What is in flight is awaited; then `Quiet` is reported."""


class StopConsuming(msgspec.Struct, frozen=True, tag="stop_consuming"):
    """Finish what was popped, then stop. Reported by `Quiet`."""


class Stall(msgspec.Struct, frozen=True, tag="stall"):
    """One consumer of this worker holds its next batch for so long before it acks."""

    seconds: float


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """Report what is left, then `Bye`, then end."""


Order = Plan | Produce | Consume | StopProducing | StopConsuming | Stall | Finish


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    worker: int
    pid: int


class Counts(msgspec.Struct, kw_only=True):
    """Messages (requests where named so) of one slice of time. `due` counts by the intended time, `overflow` those
    that had to wait for `inflight_max`; `unknown` are sends without an answer; `refused` are answered with an error."""

    due: int = 0
    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    unknown: int = 0
    refused: int = 0
    overflow: int = 0
    delivered: int = 0
    redelivered: int = 0
    acked: int = 0
    ack_refused: int = 0
    pushes: int = 0
    pops: int = 0
    pops_empty: int = 0
    acks: int = 0
    reconnects: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class Slice(msgspec.Struct, frozen=True, kw_only=True, tag="slice"):
    """One second of one worker, sent once a second, soon after its end. A latency is counted in the second in which
    its answer came. `second` counts from the clock's zero (ns // 10**9), so that the slices of all workers fit.

    `latencies` maps a metric to its encoded histogram (`LatencyHistogram.encode`); empty ones are left out.
    """

    worker: int
    phase: str
    second: int
    counts: Counts
    latencies: dict[str, str]
    errors: dict[str, int]
    """Requests that failed, by class: `timeout`, `connection`, `http_503 overloaded`, …"""
    in_flight: int
    cpu_s: float
    """Processor time of the worker in this second, user and system."""
    rss_bytes: int
    collections: int = 0
    """Garbage collections done by hand at the end of this second."""
    above_range: int = 0
    negative: int = 0
    """Latencies below zero: clocks that disagree. Counted here, and recorded as the smallest."""


class Records(msgspec.Struct, frozen=True, kw_only=True, tag="records"):
    """What the ledger needs: packed arrays, sent several times a second. See `queen.bench.ledger` for each layout.

    `until_ns`: every record of this worker up to that moment has been sent. So the ledger can follow the deliveries
    of all workers in the order of time.
    """

    worker: int
    until_ns: int
    sends: bytes = b""
    deliveries: bytes = b""
    settles: bytes = b""
    evidence: tuple[str, ...] = ()
    """For corrupt and foreign messages: what was seen, at most a few."""


class Trouble(msgspec.Struct, frozen=True, tag="trouble"):
    """The worker cannot go on: its target is gone for good, or speaks another language. It ends after that."""

    worker: int
    kind: str
    """`unreachable`, `not_queen`, `bug`."""
    message: str


class Quiet(msgspec.Struct, frozen=True, tag="quiet"):
    """Nothing of this kind (`produce`, `consume`) is under way any longer in this worker."""

    worker: int
    what: str


class Bye(msgspec.Struct, frozen=True, tag="bye"):
    """The last word of a worker that ends in order."""

    worker: int


Report = Ready | Slice | Records | Trouble | Quiet | Bye
