"""The state of an instance in more detail than `/health`: so far the pool, and what went wrong with it lately."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from queen.server.context import context

router = APIRouter(prefix="/api/v1", tags=["operations"])


@router.get("/status")
async def status(request: Request) -> dict[str, Any]:
    """The pool of database connections of this process: numbers, waits in microseconds, totals and the latest events.

    Answers while the database is away.
    """
    here = context(request)
    pool = here.pool
    return {
        "pool": {
            **{name: pool.stats()[name] for name in ("size", "idle", "waiting", "away")},
            "sizeMax": here.settings.database.pool_size,
            "pooler": pool.pooled,
            "budget": pool.budget.describe() if pool.budget is not None else None,
            "waitUs": {f"p{percent}": pool.waits.percentile(percent) for percent in (50, 95, 99)},
            "totals": pool.totals(),
            "events": pool.history(),
        }
    }
