"""Answers about the state of the system."""

from __future__ import annotations

from pydantic import Field

from queen.server.describe import Shape
from queen.server.shapes.history import History, Memory
from queen.server.shapes.series import TIME, TimeRange


class ThroughputPoint(Shape):
    """Messages that came in, were delivered and were completed in one bucket."""

    timestamp: str = Field(examples=[TIME])
    ingested: int = Field(examples=[1200])
    delivered: int = Field(examples=[1200])
    processed: int = Field(examples=[1190])
    failed: int = Field(description="Sent back or set aside.", examples=[10])
    ingestedPerSecond: float = Field(examples=[20.0])
    deliveredPerSecond: float = Field(examples=[20.0])
    processedPerSecond: float = Field(examples=[19.8])


class MessageTotals(Shape):
    """Messages that are kept, against the slowest group of each partition. `failed` is not measured."""

    total: int = Field(examples=[512])
    pending: int = Field(examples=[40])
    processing: int = Field(examples=[8])
    completed: int = Field(examples=[472])
    failed: int | None = None
    deadLetter: int = Field(examples=[1])


class Leases(Shape):
    """Leases that this server handed out and that are not settled; null with a filter."""

    active: int | None = Field(examples=[3])


class DeadLetterTotals(Shape):
    """Messages that are set aside; null: not counted."""

    totalMessages: int | None = Field(examples=[1])


class Worker(Shape):
    """A process that serves this database."""

    instanceId: str = Field(examples=["0199c0de-0000-4000-8000-000000000000"])
    startedAt: str = Field(examples=[TIME])
    seenAt: str = Field(examples=[TIME])
    poolSize: int = Field(examples=[16])
    version: str = Field(examples=["0.3.0"])
    leading: bool = Field(description="It does the work of one for all.", examples=[True])
    answering: bool = Field(description="It wrote this answer.", examples=[True])


class Troubles(Shape):
    """What went wrong in the time that was looked at."""

    acksFailed: int = Field(description="Messages that were sent back or set aside.", examples=[10])
    acksRejected: int = Field(description="Acks that changed nothing.", examples=[0])
    deadLetters: int = Field(examples=[1])


class PoolWaits(Shape):
    """Microseconds that requests waited for a connection; null: nobody did."""

    p50: float | None = Field(examples=[12.0])
    p95: float | None = Field(examples=[40.0])
    p99: float | None = Field(examples=[200.0])


class PoolEvent(Shape):
    """What went wrong with a connection, once or several times within a second."""

    kind: str = Field(examples=["timeout"])
    at: float = Field(description="Seconds since 1970.", examples=[1769860800.0])
    duration_ms: int = Field(examples=[5000])
    size: int = Field(examples=[16])
    idle: int = Field(examples=[0])
    waiting: int = Field(examples=[7])
    text: str = Field(examples=[""])
    count: int = Field(examples=[1])
    work: dict[str, int] = Field(description="The calls that it happened to.", examples=[{"push": 1}])


class Pool(Shape):
    """The connections of this process."""

    size: int = Field(examples=[16])
    idle: int = Field(examples=[12])
    waiting: int = Field(description="Requests that wait for one.", examples=[0])
    away: int = Field(description="1: the database is away.", examples=[0])
    sizeMax: int = Field(examples=[16])
    pooler: bool = Field(description="A transaction pooler is in between.", examples=[False])
    prepares: bool = Field(description="Statements are prepared on PostgreSQL's side.", examples=[True])
    budget: str | None = Field(description="Connections against what PostgreSQL grants.")
    waitUs: PoolWaits
    totals: dict[str, int] = Field(description="How often each kind of trouble happened.", examples=[{"timeout": 0}])
    events: list[PoolEvent] = Field(description="The latest, oldest first.")


class SlowFlush(Shape):
    """A call of the database that took long."""

    at: str = Field(examples=[TIME])
    verb: str = Field(examples=["push"])
    ms: int = Field(description="The longest, where several within a second are one.", examples=[740])
    entries: int = Field(description="Messages of a push; parts of requests of the others.", examples=[500])
    outcome: str = Field(description="slow, or the code of the error it ended with.", examples=["slow"])
    count: int = Field(examples=[1])


class SlowFlushes(Shape):
    """Of this process."""

    thresholdMs: int = Field(examples=[500])
    total: int = Field(description="Since the start.", examples=[0])
    events: list[SlowFlush] = Field(description="The last hundred, oldest first.")


class WorkerRestart(Shape):
    """A worker process that ended and was replaced."""

    at: str = Field(examples=[TIME])
    worker: int = Field(examples=[1])
    how: str = Field(examples=["signal=SIGKILL"])


class WorkerRestarts(Shape):
    """Of this server, all its workers."""

    total: int = Field(examples=[0])
    events: list[WorkerRestart] = Field(description="The last fifty, oldest first.")


class Refusal(Shape):
    """A request that was refused."""

    at: str = Field(examples=[TIME])
    verb: str = Field(description="push, pop, ack, or management for all other routes.", examples=["push"])
    code: str = Field(examples=["overloaded"])
    error: str = Field(description="What the first of them was told.")
    count: int = Field(examples=[1])


class Refusals(Shape):
    """Of this process. A queue that is not there is no refusal."""

    byCode: dict[str, int] = Field(description="Since the start.", examples=[{"overloaded": 3}])
    events: list[Refusal] = Field(description="The last hundred, oldest first.")


class Rotation(Shape):
    """By which settings this server, when it leads, opens the next child table of messages (`engine.epoch*`)."""

    ageMsMin: int = Field(examples=[600_000])
    ageMsMax: int = Field(examples=[86_400_000])
    bytesMax: int = Field(examples=[1_073_741_824])
    epochsMax: int = Field(examples=[100])


class Status(Shape):
    """The state of the system. Numbers that need the database are null while it is away."""

    timeRange: TimeRange
    bucketMinutes: int = Field(examples=[1])
    pointCount: int = Field(examples=[60])
    throughput: list[ThroughputPoint]
    queues: int | None = Field(description="Queues there are, or that match the filters.", examples=[12])
    messages: MessageTotals | None
    leases: Leases
    deadLetterQueue: DeadLetterTotals
    workers: list[Worker] = Field(description="All processes that serve this database.")
    errors: Troubles
    statsAge: float = Field(description="Seconds since the totals were computed; -1: never.", examples=[0.0])
    pool: Pool
    slowFlushes: SlowFlushes
    workerRestarts: WorkerRestarts
    refusedRequests: Refusals
    rotation: Rotation
    memory: Memory
    history: History


class DataPoint(Shape):
    """Messages that came in."""

    timestamp: str = Field(examples=[TIME])
    messages: int = Field(examples=[1200])


class MessagesOverTime(Shape):
    """Messages that came in over time."""

    dataPoints: list[DataPoint]
    interval: str = Field(examples=["hour"])
    from_: str = Field(alias="from", examples=["2026-01-30T12:00:00.000000Z"])
    to: str = Field(examples=[TIME])
