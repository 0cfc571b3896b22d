"""Answers about consumer groups."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from queen.server.describe import Error, Shape

_TIME = "2026-03-01T07:00:00.000000Z"
_LEASE = "019cfe52-2a5c-7d6f-9c1b-0a4f3c1d2e3f"


class GroupDeleted(Shape):
    """What was left of the group; an unknown one had nothing."""

    success: bool = Field(examples=[True])
    consumerGroup: str = Field(examples=["billing"])
    deletedPartitions: int = Field(description="Cursors that were dropped.", examples=[3])
    metadataDeleted: bool = Field(description="Registrations went too.", examples=[True])


class GroupLeft(GroupDeleted):
    """The same of one queue."""

    queueName: str = Field(examples=["parcels.scanned"])


class Group(Shape):
    """A group on one queue."""

    name: str = Field(description="`__QUEUE_MODE__` is the queue's own cursor.", examples=["billing"])
    topics: list[str] = Field(description="The queue.", examples=[["parcels.scanned"]])
    queueName: str = Field(examples=["parcels.scanned"])
    members: int = Field(description="Cursors, one for each partition it has touched; not processes.", examples=[3])
    partitionCursors: int = Field(description="The same.", examples=[3])
    partitionsWithLag: int = Field(examples=[1])
    totalLag: int = Field(description="Messages that are not consumed.", examples=[40])
    maxTimeLag: int = Field(description="Age of the oldest of them in seconds; 0 without any.", examples=[12])
    state: Literal["Lagging", "Stable", "Dead"] = Field(
        description="Lagging: maxTimeLag is above 300. Stable: it has consumed something. Dead: it never has.",
        examples=["Stable"],
    )
    subscriptionMode: str | None = Field(
        description="How it is registered: all, new, timestamp; null: it is not.", examples=["all"]
    )
    subscriptionTimestamp: str | None = Field(
        description="Where partitions that it has not touched start; null: at their oldest message.", examples=[_TIME]
    )
    subscriptionCreatedAt: str | None = Field(examples=[_TIME])
    conflation: bool = Field(description="Always false.", examples=[False])


class LaggingPartition(Shape):
    """A partition whose oldest unconsumed message of the group is old."""

    consumer_group: str = Field(examples=["billing"])
    queue_name: str = Field(examples=["parcels.scanned"])
    partition_name: str = Field(examples=["depot-7"])
    partition_id: str = Field(examples=["a0000000-0000-8000-8000-000000000007"])
    worker_id: str | None = Field(description="The live lease.", examples=[_LEASE])
    offset_lag: int = Field(description="Messages that are not consumed.", examples=[40])
    time_lag_seconds: int = Field(description="Age of the oldest of them.", examples=[7200])
    lag_hours: float = Field(description="The same in hours.", examples=[2.0])
    oldest_unconsumed_at: str = Field(examples=[_TIME])
    last_consumed_at: str | None = Field(description="Always null: it is not kept.", examples=[None])


class GroupPartition(Shape):
    """Where a group stands in one partition."""

    partition: str = Field(examples=["depot-7"])
    workerId: str | None = Field(description="The live lease.", examples=[_LEASE])
    lastConsumedAt: str | None = Field(description="Always null: it is not kept.", examples=[None])
    totalConsumed: int = Field(
        description="Messages of the partition that the cursor has passed, those before its start included.",
        examples=[152],
    )
    offsetLag: int = Field(description="Messages that are not consumed.", examples=[40])
    timeLagSeconds: int = Field(description="Age of the oldest of them in seconds; 0 without any.", examples=[12])
    leaseActive: bool = Field(examples=[True])


class GroupQueue(Shape):
    """Where a group stands in one queue."""

    conflation: bool = Field(description="Always false.", examples=[False])
    partitions: list[GroupPartition]


class Resubscribed(Shape):
    """Where untouched partitions start from now on."""

    success: bool = Field(examples=[True])
    consumerGroup: str = Field(examples=["billing"])
    newTimestamp: str = Field(examples=[_TIME])
    rowsUpdated: int = Field(description="Queues on which the group is registered; 0 is no error.", examples=[2])


class Sought(Shape):
    """A seek over a queue."""

    success: bool = Field(examples=[True])
    consumerGroup: str = Field(examples=["billing"])
    queueName: str = Field(examples=["parcels.scanned"])
    seekToEnd: bool = Field(examples=[False])
    targetTimestamp: str | None = Field(description="Null for the end.", examples=[_TIME])
    partitionsUpdated: int = Field(examples=[3])


class PartitionSought(Shape):
    """A seek in one partition."""

    success: bool = Field(examples=[True])
    consumerGroup: str = Field(examples=["billing"])
    queueName: str = Field(examples=["parcels.scanned"])
    partitionName: str = Field(examples=["depot-7"])
    seekToEnd: bool = Field(examples=[True])
    targetTimestamp: str | None = Field(description="Null for the end.", examples=[None])
    updated: bool = Field(examples=[True])


class NothingSought(Error):
    """There is no such queue, or it has no partitions."""

    success: bool = Field(examples=[False])
    consumerGroup: str = Field(examples=["billing"])
    queueName: str = Field(examples=["parcels.scanned"])
    partitionsUpdated: int = Field(examples=[0])


class NoSuchPartition(Error):
    """There is no such partition in such a queue."""

    success: bool = Field(examples=[False])
