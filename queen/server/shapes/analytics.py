"""Answers about activity over time."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from queen.server.describe import Shape
from queen.server.shapes.series import TIME, Numbers, TimeRange

_QUEUE = Field(description="null: all queues together.", examples=["orders"])


class LagPoint(Shape):
    """How long messages of a queue waited for their delivery in one bucket."""

    queueName: str | None = _QUEUE
    popCount: int = Field(description="Deliveries; a pop is one for each of its partitions.", examples=[30])
    avgLagMs: float = Field(examples=[4.2])
    maxLagMs: float = Field(examples=[38.0])
    bucketMinutes: int = Field(examples=[1])
    bucketTime: str = Field(examples=[TIME])


class OpsPoint(Numbers):
    """What was done with a queue in one bucket."""

    bucket: str = Field(examples=[TIME])
    queueName: str | None = _QUEUE


class QueueOps(Shape):
    """What was done with queues."""

    timeRange: TimeRange
    bucketMinutes: int = Field(examples=[1])
    series: list[OpsPoint]
    queues: list[str] = Field(
        description="The queues of the series; without a filter the busiest of the last minutes.", examples=[["orders"]]
    )


class ParkedPoint(Shape):
    """Polls that waited at one server in one bucket."""

    bucket: str = Field(examples=[TIME])
    queueName: str | None = _QUEUE
    hostname: str | None = Field(examples=["queen-1"])
    workerId: int | None = Field(description="0: the only process of its server.", examples=[0])
    parkedCount: float = Field(examples=[4.0])


class Replica(Shape):
    """A process of a server."""

    hostname: str | None = Field(examples=["queen-1"])
    workerId: int | None = Field(examples=[0])


class ParkedReplicas(Shape):
    """Polls that waited, by server. Not known of hours that are rolled up."""

    timeRange: TimeRange
    bucketMinutes: int = Field(examples=[1])
    series: list[ParkedPoint]
    replicas: list[Replica]


class RetentionNumbers(Shape):
    """What retention took away. The kinds are not told apart: null."""

    retentionMsgs: int | None = None
    completedRetentionMsgs: int | None = None
    evictionMsgs: int | None = None
    totalMsgs: int = Field(description="Messages that were put out of reach.", examples=[5000])
    eventCount: int = Field(description="Child tables that were dropped.", examples=[1])


class RetentionPoint(RetentionNumbers):
    """The same in one bucket."""

    bucket: str = Field(examples=[TIME])


class Retention(Shape):
    """What retention took away, all queues together."""

    timeRange: TimeRange
    bucketMinutes: int = Field(examples=[1])
    series: list[RetentionPoint]
    totals: RetentionNumbers


class Gauge(Shape):
    """A value that was sampled every few seconds."""

    avg: float = Field(examples=[12.5])
    min: float = Field(examples=[3.0])
    max: float = Field(examples=[40.0])
    last: float = Field(examples=[11.0])


class SystemPoint(Shape):
    """One process in one bucket."""

    timestamp: str = Field(examples=[TIME])
    metrics: dict[str, dict[str, Gauge]] = Field(
        description="cpu in percent of one core; memory in bytes; database: connections, and waits for one in ms; "
        "lag of the event loop in ms; requests a second, and polls that wait. What was not measured is left out.",
        examples=[{"cpu": {"user": {"avg": 12.5, "min": 3.0, "max": 40.0, "last": 11.0}}}],
    )


class SystemReplica(Shape):
    """One process of a server over time."""

    hostname: str = Field(examples=["queen-1"])
    port: int = Field(examples=[6632])
    workerId: int = Field(description="0: the only process of its server.", examples=[0])
    timeSeries: list[SystemPoint]


class SystemMetrics(Shape):
    """How the processes were. Minutes in which a process had nothing to do are left out."""

    timeRange: TimeRange
    bucketMinutes: int = Field(examples=[1])
    replicas: list[SystemReplica]


class WorkerPoint(Numbers):
    """What all servers did in one bucket."""

    timestamp: str = Field(examples=[TIME])


class BusyQueue(Shape):
    """A queue with much to do in the last minutes."""

    queueName: str = Field(examples=["orders"])
    pushMessages: int = Field(examples=[1200])
    popMessages: int = Field(examples=[1200])
    ackSuccess: int = Field(examples=[1190])


class WorkerMetrics(Shape):
    """What all servers did, and the busiest queues of the last five whole minutes."""

    timeRange: TimeRange
    bucketMinutes: int = Field(examples=[1])
    timeSeries: list[WorkerPoint]
    queues: list[BusyQueue]


class PostgresStats(Shape):
    """What PostgreSQL counts of itself, under its own names. null: the role may not see it, or it does not exist."""

    version: str = Field(examples=["17.2"])
    database: dict[str, Any] | None = Field(description="The row of pg_stat_database.", examples=[{"xact_commit": 12}])
    connections: dict[str, Any] | None = Field(examples=[{"total": 18, "active": 1, "max": 100}])
    tables: dict[str, Any] | None = Field(
        description="From pg_stat_user_tables, by table; the children of messages are added up.",
        examples=[{"cursors": {"n_live_tup": 100}}],
    )
    wal: dict[str, Any] | None = Field(description="The row of pg_stat_wal.", examples=[{"wal_bytes": 1000}])
    checkpoints: dict[str, Any] | None = Field(description="From pg_stat_checkpointer, or pg_stat_bgwriter before 17.")
