"""Answers about dead letters."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from queen.server.describe import Error, Shape

RECORD_ID = "00000000-0011-8003-8000-000000000000"
_PARTITION_ID = "00000000-0007-8001-8000-000000000000"
_TIME = "2026-03-02T08:31:44.020000Z"


class DeadLetter(Shape):
    """A message that was set aside, and why."""

    id: str = Field(description="Of the record; a replay names it.", examples=[RECORD_ID])
    messageId: str
    transactionId: str = Field(examples=["scan-90113"])
    partitionId: str = Field(examples=[_PARTITION_ID])
    queue: str = Field(examples=["parcels.scanned"])
    partition: str = Field(examples=["depot-7"])
    consumerGroup: str = Field(examples=["billing"])
    errorMessage: str = Field(examples=["tariff service 502"])
    retryCount: int = Field(examples=[3])
    data: Any = Field(description="The payload as the producer sent it.", examples=[{"parcel": 90113}])
    producerSub: str | None
    createdAt: str = Field(examples=[_TIME])
    failedAt: str = Field(examples=[_TIME])
    dataError: Error | None = Field(None, description="Why an encrypted payload cannot be opened; data is null then.")


class Pagination(Shape):
    """The page that was asked for."""

    limit: int
    offset: int


class DeadLetterList(Shape):
    """One page of dead letters, newest first."""

    messages: list[DeadLetter]
    pagination: Pagination
    total: int = Field(description="All that match.", examples=[1])


class DeadLettersDeleted(Shape):
    """How many records went."""

    success: bool = Field(examples=[True])
    deleted: int = Field(examples=[12])
    queue: str = Field(examples=["parcels.scanned"])
    consumerGroup: str | None = Field(examples=["billing"])


class ReplayedAs(Shape):
    """The message that a dead letter became, or the one that was there already."""

    index: int = Field(examples=[0])
    message_id: str
    transaction_id: str = Field(description="dlq: and the id of the record.", examples=[f"dlq:{RECORD_ID}"])
    queueName: str = Field(examples=["parcels.scanned"])
    status: Literal["queued", "duplicate"]
    offset: int = Field(examples=[204])


class Replayed(Shape):
    """What became of one dead letter. A duplicate: the message was stored before, and the record stays."""

    success: bool = Field(description="The record was moved.", examples=[True])
    result: Literal["moved", "duplicate"]
    queue: str = Field(description="Where the message went.", examples=["parcels.scanned"])
    partition: str = Field(examples=["depot-7"])
    consumerGroup: str = Field(description="Of the record.", examples=["billing"])
    dlqId: str = Field(examples=[RECORD_ID])
    originalTransactionId: str = Field(examples=["scan-90113"])
    replayedAs: ReplayedAs
    dlqRowRemoved: bool = Field(examples=[True])


class ReplayGone(Error):
    """There is no such record, or no more."""

    success: bool = Field(examples=[False])
    result: Literal["gone"]
    dlqId: str | None = Field(examples=[RECORD_ID])


class ReplayPreview(Shape):
    """What a replay of many would move."""

    preview: bool = Field(examples=[True])
    queue: str = Field(examples=["parcels.scanned"])
    matched: int = Field(description="How many match, of those that were looked at.", examples=[37])
    complete: bool = Field(description="All records of the queue were looked at.", examples=[True])
    first: list[DeadLetter] = Field(description="The oldest of them, at most ten.")


class ReplayProgress(Shape):
    """One line of the answer, after each batch. The last one has `done`, or `error`."""

    replayed: int = Field(description="Moved so far.", examples=[100])
    duplicates: int = Field(description="Stored before; their records stay.", examples=[0])
    gone: int = Field(description="Taken by somebody else meanwhile.", examples=[0])
    last: str | None = Field(description="The record that was looked at last.", examples=[RECORD_ID])
    done: bool | None = Field(None, description="In the last line: true when all that matched were seen.")
    error: str | None = None
    code: str | None = None
    hint: str | None = None
