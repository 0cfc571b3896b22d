"""Consumer groups: delete."""

from __future__ import annotations

from fastapi import APIRouter, Request

from queen.server.context import GroupName, context
from queen.server.describe import refusals
from queen.server.shapes.groups import GroupDeleted

router = APIRouter(prefix="/api/v1", tags=["consumer groups"])


@router.delete("/consumer-groups/{group}", responses=refusals(400))
async def delete_group(request: Request, group: GroupName, deleteMetadata: str = "true") -> GroupDeleted:
    """Drop all cursors and leases of a group on every queue, and with `deleteMetadata` its registrations.

    The group's next pop is a first contact again. An unknown group is no error.
    """
    here = context(request)
    metadata = deleteMetadata.lower() not in ("false", "0", "no")
    count = await here.admin.groups.delete_group(group, metadata)
    here.engine.forget_group(group)
    return GroupDeleted(success=True, consumerGroup=group, deletedPartitions=count, metadataDeleted=metadata)
