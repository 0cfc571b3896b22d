"""What answers about time have in common."""

from __future__ import annotations

from pydantic import Field

from queen.server.describe import Shape

TIME = "2026-01-31T12:00:00.000000Z"


class TimeRange(Shape):
    """The time that was looked at; it begins at a whole bucket."""

    from_: str = Field(alias="from", examples=["2026-01-31T11:00:00.000000Z"])
    to: str = Field(examples=[TIME])


class Numbers(Shape):
    """What was done in one bucket. Rates are those of the bucket, of a running one so far; null is not measured."""

    pushRequests: int = Field(description="Pushes that put something into it.", examples=[12])
    pushMessages: int = Field(description="Messages that were stored; duplicates are not.", examples=[1200])
    popRequests: int = Field(examples=[30])
    popMessages: int = Field(description="Messages that were delivered.", examples=[1200])
    popEmpty: int = Field(description="Pops that found nothing, at last.", examples=[3])
    ackRequests: int = Field(examples=[30])
    ackSuccess: int = Field(description="Messages that were completed, with `autoAck` at delivery.", examples=[1190])
    ackFailed: int = Field(description="Messages that were sent back or set aside: failed, retry, dlq.", examples=[10])
    ackRejected: int = Field(description="Acks that changed nothing, as of a lease that is over.", examples=[0])
    transactions: int = Field(examples=[0])
    deadLetters: int = Field(description="Messages that were set aside.", examples=[1])
    avgLagMs: float | None = Field(
        description="From the storing to the delivery of each delivery's oldest message, on average.",
        examples=[4.2],
    )
    maxLagMs: float | None = Field(description="The longest of these.", examples=[38.0])
    pushPerSecond: float = Field(examples=[20.0])
    popPerSecond: float = Field(examples=[20.0])
    ackPerSecond: float = Field(description="Completed messages.", examples=[19.8])
    emptyPerSecond: float = Field(examples=[0.05])
    parkedCount: float = Field(description="Polls that waited at the ends of its minutes, on average.", examples=[4.0])
