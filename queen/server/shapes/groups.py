"""Answers about consumer groups."""

from __future__ import annotations

from pydantic import Field

from queen.server.describe import Shape


class GroupDeleted(Shape):
    """What was left of the group; an unknown one had nothing."""

    success: bool = Field(examples=[True])
    consumerGroup: str = Field(examples=["billing"])
    deletedPartitions: int = Field(description="Cursors that were dropped.", examples=[3])
    metadataDeleted: bool = Field(description="Registrations went too.", examples=[True])
