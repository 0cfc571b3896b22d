"""Answers about traces."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from queen.server.describe import Error, Shape
from queen.server.shapes.dead_letters import Pagination

_ID = "01990f55-7c31-7c33-9d0e-2f6a1b3c4d5e"
_TIME = "2026-03-02T08:15:00.104233Z"


class TraceRecorded(Shape):
    """The trace is stored."""

    success: bool = Field(examples=[True])
    traceId: str = Field(examples=[_ID])


class TraceRefused(Error):
    """The partition id is none."""

    success: bool = Field(examples=[False])


class Trace(Shape):
    """What a handler noted about a message."""

    id: str = Field(examples=[_ID])
    event_type: str = Field(examples=["info"])
    data: Any = Field(description="As it was sent.", examples=[{"step": "tariff looked up"}])
    consumer_group: str = Field(examples=["billing"])
    worker_id: str | None = Field(description="Always null.", examples=[None])
    created_at: str = Field(examples=[_TIME])
    trace_names: list[str] = Field(examples=[["invoice-31"]])


class TraceList(Shape):
    """Traces of one message, oldest first."""

    traces: list[Trace]


class NamedTrace(Trace):
    """A trace with the place of its message; queue and partition are null when they are gone."""

    transaction_id: str = Field(examples=["scan-90112"])
    partition_id: str
    queue_name: str | None = Field(examples=["parcels.scanned"])
    partition_name: str | None = Field(examples=["depot-7"])
    message_payload: None = Field(description="Always null: GET the message.")


class NamedTraceList(Shape):
    """One page of the traces under a name, oldest first."""

    traces: list[NamedTrace]
    total: int = Field(examples=[1])
    pagination: Pagination


class TraceName(Shape):
    """One name with its counts."""

    trace_name: str = Field(examples=["invoice-31"])
    trace_count: int = Field(examples=[4])
    message_count: int = Field(examples=[2])
    last_seen: str = Field(examples=[_TIME])


class TraceNameList(Shape):
    """One page of the names, in their order."""

    trace_names: list[TraceName]
    total: int = Field(description="Counted up to 10,000, estimated beyond.", examples=[1])
    pagination: Pagination
