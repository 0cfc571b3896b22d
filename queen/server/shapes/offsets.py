"""Answers of reads by offset."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from queen.server.describe import Shape

_TIME = "2026-01-31T12:00:00.000000Z"


class FetchedRecord(Shape):
    """One message."""

    offset: int = Field(description="Its position in the partition; gaps are possible.", examples=[42])
    transactionId: str = Field(examples=["order-7"])
    payload: Any = Field(description="As the producer sent it.")
    ts: str = Field(description="When it was stored.", examples=[_TIME])


class FetchedEntry(Shape):
    """What one entry of the request got. With an `error` there are no records."""

    highWatermark: int = Field(description="The offset of the next message to come.", examples=[43])
    logStartOffset: int = Field(description="The oldest offset kept.", examples=[0])
    records: list[FetchedRecord]
    error: Literal["OFFSET_OUT_OF_RANGE", "UNKNOWN_TOPIC_OR_PARTITION"] | None = Field(
        None, description="Absent when all is well."
    )


class Fetched(Shape):
    """One object per entry of the request, in its order."""

    entries: list[FetchedEntry]


class ChangedPartition(Shape):
    """A partition and where it stands."""

    name: str = Field(examples=["berlin"])
    id: str = Field(examples=["00000000-0001-8001-8000-000000000000"])
    lastOffset: int = Field(description="Of its newest message; -1 when there never was one.", examples=[42])
    logStart: int = Field(description="The oldest offset kept.", examples=[0])
    lastWriteAt: str = Field(description="When its newest message was stored, else it was created.", examples=[_TIME])


class ChangedList(Shape):
    """One page of the partitions of a queue. With an `error` it is empty."""

    queue: str = Field(examples=["orders"])
    partitions: list[ChangedPartition]
    next: str | None = Field(description="The `after` of the next page; null when the page is not full.")
    error: Literal["BAD_CURSOR", "UNKNOWN_TOPIC_OR_PARTITION"] | None = Field(
        None, description="Absent when all is well."
    )


class PartitionsChanged(Shape):
    """One list per entry of the request, in its order."""

    safeTime: str = Field(
        description="No message with an earlier time can still appear: the `since` of the next look.", examples=[_TIME]
    )
    safeTimeDegraded: bool = Field(
        description="The role may not see since when some other role's transaction runs; safeTime leaves it out."
    )
    entries: list[ChangedList]
