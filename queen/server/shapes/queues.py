"""Queues: the body and the answer of a configure call, and what a deletion says."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from queen.server.describe import Shape


class Configured(Shape):
    """The queue as it is now, every option with its effective value."""

    configured: bool = Field(examples=[True])
    queueId: str
    partitionId: str | None = Field(description="Always null: no partition is made.")
    queue: str = Field(examples=["orders"])
    namespace: str
    task: str
    options: dict[str, Any] = Field(examples=[{"leaseTime": 300, "retryLimit": 3}])


class QueueDeleted(Shape):
    """An unknown queue is no error: nothing was deleted."""

    deleted: bool
    queue: str = Field(examples=["orders"])
    existed: bool
    message: str | None = Field(None, description="Why nothing was deleted; absent otherwise.")


REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["queue"],
                "properties": {
                    "queue": {"type": "string", "minLength": 1, "maxLength": 255},
                    "namespace": {"type": ["string", "null"]},
                    "task": {"type": ["string", "null"]},
                    "mode": {"type": ["string", "null"], "enum": ["merge", "replace", None]},
                    "options": {"type": ["object", "null"]},
                },
            },
            "example": {"queue": "orders", "options": {"leaseTime": 60, "retryLimit": 5}},
        }
    },
}
