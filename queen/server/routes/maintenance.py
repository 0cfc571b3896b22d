"""Maintenance: pops of all servers pause at a word. Pushes cannot be stopped yet: there is no spool to put them in."""

from __future__ import annotations

from fastapi import APIRouter, Request

from queen import errors, wire
from queen.server.context import body_of, context
from queen.server.describe import Responses, refusals
from queen.server.shapes.maintenance import BufferStats, FailedFiles, Maintenance, MaintenanceTurned, PopMaintenance
from queen.store.admin.switches import POP_MAINTENANCE

router = APIRouter(prefix="/api/v1/system", tags=["operations"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["enabled"],
                    "properties": {"enabled": {"type": "boolean", "description": "On or off."}},
                },
                "example": {"enabled": True},
            }
        },
    }
}
_REFUSED: Responses = refusals(400, 413)
_POP_WORDS = {
    True: "Pop maintenance mode ENABLED. All POPs answer 204.",
    False: "Pop maintenance mode DISABLED. POPs deliver again.",
}


@router.get("/maintenance", responses=refusals())
async def show_maintenance(request: Request) -> Maintenance:
    """How the switches of pushes and pops stand, and what the local spool holds."""
    switch = await context(request).admin.switches.read(POP_MAINTENANCE)
    return Maintenance(
        maintenanceMode=False,
        popMaintenanceMode=switch.is_on,
        bufferedMessages=0,
        bufferHealthy=True,
        bufferStats=BufferStats(
            pendingCount=0,
            failedCount=0,
            dbHealthy=True,
            failedFiles=FailedFiles(count=0, totalBytes=0, totalMB=0, failoverCount=0, qos0Count=0),
        ),
    )


@router.post("/maintenance", responses=_REFUSED, openapi_extra=_BODY)
async def turn_maintenance(request: Request) -> MaintenanceTurned:
    """Send pushes to a local spool (`{"enabled": true}`): refused, this version has none. Off is how it stands."""
    if _enabled(await body_of(request)):
        raise errors.NotSupported(
            "push maintenance is not supported: this version has no local spool that could take the pushes",
            hint="stop the producers; consumers can be stopped with POST /api/v1/system/maintenance/pop",
        )
    return MaintenanceTurned(
        maintenanceMode=False,
        bufferedMessages=0,
        bufferHealthy=True,
        message="Maintenance mode DISABLED. Background processor will drain buffer to DB.",
    )


@router.get("/maintenance/pop", responses=refusals())
async def show_pop_maintenance(request: Request) -> PopMaintenance:
    """Do pops pause?"""
    switch = await context(request).admin.switches.read(POP_MAINTENANCE)
    return PopMaintenance(popMaintenanceMode=switch.is_on, message=_POP_WORDS[switch.is_on])


@router.post("/maintenance/pop", responses=_REFUSED, openapi_extra=_BODY)
async def turn_pop_maintenance(request: Request) -> PopMaintenance:
    """Let every pop of every server answer 204 (`{"enabled": true}`), or deliver again. It outlives restarts.

    Leases that were handed out go on: acks and extensions work as ever.
    """
    here = context(request)
    switch = await here.admin.switches.turn(POP_MAINTENANCE, _enabled(await body_of(request)))
    here.engine.pause_pops(*switch)
    return PopMaintenance(popMaintenanceMode=switch.is_on, message=_POP_WORDS[switch.is_on])


def _enabled(body: bytes) -> bool:
    enabled = wire.decode_object(body).get("enabled") if body else None
    if not isinstance(enabled, bool):
        raise errors.InvalidRequest(
            "enabled (boolean) is required", hint='send {"enabled": true} or {"enabled": false}'
        )
    return enabled
