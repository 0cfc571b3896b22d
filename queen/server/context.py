"""What every route can reach, and the parameter types that routes share."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import AfterValidator, BeforeValidator
from starlette.requests import ClientDisconnect

from queen import errors, wire
from queen.engine.board import Numbers, Seat
from queen.engine.engine import Engine
from queen.engine.story import Story
from queen.server import numbers, story
from queen.server.body import Bodies
from queen.server.hot import Hot
from queen.settings import Settings
from queen.store.admin.admin import Admin
from queen.store.pool import Pool

SLASH = "\U0010ffff"
"""Stands for a percent-encoded slash inside a path segment while the router splits the path; never a name's own."""


@dataclass(slots=True)
class Context:
    """The parts that routes use.

    `settings` are this process's; `pool_size`, `started_at` and the mode are those of the whole instance. `seat` is
    its place among the workers of the instance, None when it is the only process.
    """

    settings: Settings
    engine: Engine
    admin: Admin
    pool: Pool
    hot: Hot
    bodies: Bodies
    mode: str = "safe"
    mode_reason: str = ""
    pool_size: int = 0
    seat: Seat | None = None
    started_at: float = field(default_factory=time.time)
    ready_check: asyncio.Future[bool] | None = None
    ready_at: float = 0.0
    draining: bool = False

    def numbers(self) -> Numbers:
        """The numbers of the whole instance."""
        return numbers.of_instance(self.engine, self.settings.database.pool_size, self.seat)

    def story(self) -> Story:
        """What went wrong lately in the whole instance."""
        return story.of_instance(self.engine, self.pool, self.seat)


def context(request: Request) -> Context:
    """The context of the application that serves this request."""
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


async def body_of(request: Request) -> bytes:
    """The whole body, bounded as on the hot routes. Raises BodyTooLarge, Overloaded, ClientDisconnect for half."""
    bodies = context(request).bodies
    body = await bodies.read(request.scope, request.receive)
    if body is None:
        raise ClientDisconnect
    bodies.release(len(body))
    return body


def _name(what: str) -> AfterValidator:
    return AfterValidator(lambda text: wire.check_name(what, text.replace(SLASH, "/"), "path"))


QueueName = Annotated[str, Path(description="Name of the queue, percent-encoded."), _name("queue")]
PartitionName = Annotated[str, Path(description="Name of the partition, percent-encoded."), _name("partition")]
GroupName = Annotated[str, Path(description="Name of the consumer group, percent-encoded."), _name("consumerGroup")]


def _filter(text: str | None) -> str | None:
    return wire.check_name("query", text, "query") if text else None


Filter = Annotated[str | None, Query(), AfterValidator(_filter)]
"""A name or a part of one to select by; an empty text counts as absent."""

_PAGE_MAX = 10_000


def whole(default: int, high: int) -> BeforeValidator:
    """Numbers on management routes: an unreadable one counts as absent, an absurd one is cut to the bound."""

    def read(value: object) -> int:
        try:
            number = int(value) if isinstance(value, int) or (isinstance(value, str) and len(value) <= 18) else default
        except ValueError:
            number = default
        return min(max(number, 0), high)

    return BeforeValidator(read)


Limit = Annotated[int, Query(description="Most entries of the page."), whole(1000, _PAGE_MAX)]
Offset = Annotated[int, Query(description="Entries to skip."), whole(0, 10**9)]


def read_time(text: str | None, name: str) -> datetime | None:
    """A time parameter, None when absent. Raises InvalidRequest for an unreadable one."""
    if not text:
        return None
    at = wire.parse_time(text)
    if at is None:
        raise errors.InvalidRequest(f"bad query: {name} must be a time", hint="for example 2026-01-31T12:00:00Z")
    return at
