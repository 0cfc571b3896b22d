"""Answers about stored messages."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from queen.server.describe import Error, Shape

_MESSAGE = "00000000-0007-8000-8000-00000000002a"
PARTITION_ID = "00000000-0007-8001-8000-000000000000"

Status = Literal["pending", "processing", "completed", "dead_letter", "scheduled"]


class BusStatus(Shape):
    """How far the consumer groups are."""

    consumedBy: int = Field(description="Groups that have passed the message.", examples=[1])
    totalGroups: int = Field(description="Groups that have a cursor in its partition.", examples=[2])


class StoredMessage(Shape):
    """A message with what became of it; the payload stands under two names, for two generations of clients."""

    id: str = Field(examples=[_MESSAGE])
    transactionId: str = Field(examples=["scan-90112"])
    partitionId: str = Field(examples=[PARTITION_ID])
    queuePath: str = Field(description="Queue and partition.", examples=["parcels.scanned/depot-7"])
    queue: str = Field(examples=["parcels.scanned"])
    partition: str = Field(examples=["depot-7"])
    namespace: str = Field(examples=["parcels"])
    task: str = Field(examples=["scanned"])
    status: Status = Field(
        description="dead_letter when a record exists. Without a cursor of queue mode: completed when every group has "
        "passed it. Scheduled messages have no place in the order yet.",
        examples=["pending"],
    )
    queueStatus: Status | None = Field(description="By the cursor of queue mode alone.", examples=[None])
    busStatus: BusStatus
    traceId: str | None
    producerSub: str | None
    createdAt: str = Field(examples=["2026-03-02T08:15:00.104233Z"])
    scheduledAt: str | None = Field(description="When a scheduled message is due.", examples=[None])
    leaseExpiresAt: str | None = Field(description="Of the lease under which it is processed.", examples=[None])
    data: Any = Field(description="The payload as the producer sent it.", examples=[{"parcel": 90112}])
    payload: Any = Field(description="The same.", examples=[{"parcel": 90112}])
    dataError: Error | None = Field(None, description="Why an encrypted payload cannot be opened; data is null then.")


class Mode(Shape):
    """Who reads the partitions of this page."""

    hasQueueMode: bool
    busGroupsCount: int = Field(description="Named groups with a cursor, of the partition with the most.")
    type: Literal["queue", "bus", "hybrid", "none"]


class MessageList(Shape):
    """One page of messages."""

    messages: list[StoredMessage]
    mode: Mode
    total: int = Field(description="Messages on this page.", examples=[1])


class GroupOfMessage(Shape):
    """What one group has to do with a message; the name stands under two keys."""

    name: str = Field(examples=["billing"])
    group: str = Field(examples=["billing"])
    consumed: bool
    leaseExpiresAt: str | None


class ShortConfig(Shape):
    """Some options of the queue."""

    leaseTime: int = Field(description="Seconds.", examples=[300])
    retryLimit: int = Field(examples=[3])
    retryDelay: int = Field(description="Milliseconds.", examples=[1000])
    ttl: int = Field(examples=[3600])
    priority: int = Field(examples=[0])


class MessageDetail(StoredMessage):
    """One message."""

    isEncrypted: bool
    errorMessage: str | None = Field(description="Of its newest dead letter.", examples=["tariff service 502"])
    retryCount: int = Field(description="Of its newest dead letter, else 0.", examples=[3])
    consumerGroups: list[GroupOfMessage]
    queueConfig: ShortConfig


class MessageDeleted(Shape):
    """The dead letters of the address are gone, or, where there was none, the message itself."""

    success: bool = Field(examples=[True])
    partitionId: str = Field(examples=[PARTITION_ID])
    transactionId: str = Field(examples=["scan-90112"])
    message: str = Field(examples=["Message deleted successfully"])


class NoSuchMessage(Error):
    """There is nothing at this address."""

    success: bool = Field(examples=[False])
    partitionId: str
    transactionId: str
