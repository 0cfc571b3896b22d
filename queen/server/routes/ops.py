"""Health and metrics."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from queen import __version__, errors
from queen.server import metrics
from queen.server.context import Context, context
from queen.server.describe import Responses, answers
from queen.server.shapes.ops import Alive, Health, Metrics, Ready, Up

router = APIRouter(tags=["operations"])

ENGINE = "queen-python"
_HEALTH_TIMEOUT_S = 3.0
_READY_CACHED_S = 1.0
_TEXT: Responses = {200: {"content": {metrics.CONTENT_TYPE: {"schema": {"type": "string"}}}}}
_BOTH: Responses = {200: {**_TEXT[200], "model": Metrics}}


@router.get("/health", responses={**answers(Health, "It can serve."), **answers(Health, "The database is away.", 503)})
async def health(request: Request) -> JSONResponse:
    """The human summary: one round trip to the database, the mode and why, and basic statistics."""
    here = context(request)
    connected = await _database_answers(here)
    numbers = here.numbers()
    content: dict[str, Any] = {
        "status": "healthy" if connected else "unhealthy",
        "database": "connected" if connected else "disconnected",
        "engine": ENGINE,
        "version": __version__,
        "mode": here.mode,
        "modeReason": here.mode_reason,
        "uptime": int(time.time() - here.started_at),
        "messages": {
            "pushed": numbers.totals["push_messages"],
            "popped": numbers.totals["pop_messages"],
            "acked": numbers.totals["ack_messages"],
            "deadLettered": numbers.totals["dead_letters"],
        },
        "parkedPolls": int(numbers.gauges["parked_polls"]),
        "workers": metrics.workers(numbers),
    }
    return JSONResponse(content, 200 if connected else 503)


@router.get("/status")
async def up() -> Up:
    """The process answers, and which server it is. No database involved."""
    return Up(status="ok", engine=ENGINE)


@router.get("/health/live")
async def live() -> Alive:
    """The process answers. No database involved."""
    return Alive(status="alive")


@router.get(
    "/health/ready",
    responses={**answers(Ready, "It serves."), **answers(Ready, "Draining, or the database is away.", 503)},
)
async def ready(request: Request) -> JSONResponse:
    """200 when requests can be served now. The database is asked once a second at most, however many ask."""
    here = context(request)
    if here.draining or here.engine.draining:
        return JSONResponse({"status": "draining"}, 503)
    if not await _recently_ready(here):
        return JSONResponse({"status": "not ready", "database": "disconnected"}, 503)
    return JSONResponse({"status": "ready"})


@router.get("/metrics", responses=_BOTH)
async def show_metrics(request: Request) -> Response:
    """Numbers of this instance: JSON, or the Prometheus text format when `Accept` asks for it."""
    if metrics.wants_text(request.headers.get("accept", "")):
        return await prometheus(request)
    return JSONResponse(metrics.snapshot(context(request)))


@router.get("/metrics/prometheus", response_class=Response, responses=_TEXT)
async def prometheus(request: Request) -> Response:
    """The same numbers for a Prometheus scraper."""
    body, content_type = metrics.exposition(context(request))
    return Response(body, media_type=content_type, headers={"Cache-Control": "no-cache"})


# Many monitors ask with HEAD, and would take a 404 for an outage.
for _path, _route in (("/health", health), ("/health/live", live), ("/health/ready", ready), ("/status", up)):
    router.head(_path, include_in_schema=False)(_route)


async def _database_answers(here: Context) -> bool:
    try:
        async with asyncio.timeout(_HEALTH_TIMEOUT_S):
            await here.admin.server.ping()
    except (errors.QueenError, TimeoutError):
        return False
    return True


async def _recently_ready(here: Context) -> bool:
    if here.ready_check is None or time.monotonic() - here.ready_at > _READY_CACHED_S:
        here.ready_at = time.monotonic()
        here.ready_check = asyncio.ensure_future(_database_answers(here))
    return await asyncio.shield(here.ready_check)
