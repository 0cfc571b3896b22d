"""Consumer groups: delete."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from queen.server.context import GroupName, context

router = APIRouter(prefix="/api/v1", tags=["consumer groups"])


@router.delete("/consumer-groups/{group}")
async def delete_group(request: Request, group: GroupName, deleteMetadata: str = "true") -> dict[str, Any]:
    """Drop all cursors and leases of a group on every queue, and with `deleteMetadata` its registrations.

    The group's next pop is a first contact again. An unknown group is no error.
    """
    here = context(request)
    metadata = deleteMetadata.lower() not in ("false", "0", "no")
    count = await here.admin.delete_group(group, metadata)
    here.engine.forget_group(group)
    return {"success": True, "consumerGroup": group, "deletedPartitions": count, "metadataDeleted": metadata}
