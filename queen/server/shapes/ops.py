"""Answers about the server itself."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from queen.server.describe import Shape

Number = int | float | None


class Workers(Shape):
    """The processes of the instance."""

    count: int
    restarts: int = Field(description="Processes that ended and were replaced.")


class MessageTotals(Shape):
    """Since the start of the instance."""

    pushed: int
    popped: int
    acked: int
    deadLettered: int


class Health(Shape):
    """The human summary. `status` is healthy while the database answers."""

    status: str = Field(examples=["healthy"])
    database: str = Field(examples=["connected"])
    engine: str
    version: str
    mode: str = Field(description="safe or high-perf.", examples=["safe"])
    modeReason: str
    uptime: int = Field(description="Seconds.")
    messages: MessageTotals
    parkedPolls: int
    workers: Workers


class Alive(Shape):
    """The process answers."""

    status: str = Field(examples=["alive"])


class Up(Shape):
    """The process answers."""

    status: str = Field(examples=["ok"])
    engine: str


class Ready(Shape):
    """Whether requests can be served now."""

    status: str = Field(examples=["ready"])
    database: str | None = Field(None, examples=["disconnected"])


class Rate(Shape):
    """A total since the start, and the rate of the last ten seconds."""

    total: int
    rate: float


class Connections(Shape):
    """Connections to PostgreSQL."""

    poolSize: int = Field(description="Most connections.")
    openConnections: int
    idleConnections: int
    waitingRequests: int = Field(description="Requests that wait for a connection now.")


class Metrics(Shape):
    """Numbers of the instance; docs/operations.md has each by name. Times are milliseconds unless the name says so."""

    messages: Rate
    database: Connections
    pool: dict[str, int]
    uptime: int
    requests: Rate
    memory: dict[str, int]
    cpu: dict[str, int] = Field(description="Microseconds of processor time.")
    eventLoop: dict[str, float]
    durability: str = Field(description="What a commit means: committed, replicated or async.")
    mode: str
    workers: Workers
    latency: dict[str, dict[str, Number]]
    insert: dict[str, Any]
    flushes: dict[str, dict[str, Number]]
    counters: dict[str, int]
    sizes: dict[str, int]
