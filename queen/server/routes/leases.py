"""Leases: extension. The other verbs of the message plane are hot and live in `queen.server.hot`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from queen import wire
from queen.server.context import SLASH, body_of, context

router = APIRouter(prefix="/api/v1", tags=["messages"])


class ExtendedLease(BaseModel):
    """The earliest new end under three names, one for each generation of clients."""

    leaseId: str
    success: bool = Field(description="Some lease was extended.")
    renewed: int = Field(description="How many (partition, group) leases go by this id and were extended.")
    newExpiresAt: str | None
    expiresAt: str | None
    lease_expires_at: str | None
    error: str | None


@router.post("/lease/{lease_id}/extend")
async def extend_lease(request: Request, lease_id: str) -> ExtendedLease:
    """Extend a live lease: the later of its end and now + `seconds` (body, optional: `{"seconds": 60}`)."""
    seconds = wire.decode_extend(await body_of(request))
    lease_id = lease_id.replace(SLASH, "/")
    extended = await context(request).engine.extend(lease_id, seconds)
    until = wire.time_text(extended.until_us) if extended.until_us is not None else None
    return ExtendedLease(
        leaseId=lease_id,
        success=extended.renewed > 0,
        renewed=extended.renewed,
        newExpiresAt=until,
        expiresAt=until,
        lease_expires_at=until,
        error=None if extended.renewed else "invalid or expired lease",
    )
