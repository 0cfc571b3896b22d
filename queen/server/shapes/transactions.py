"""The body and the answer of a transaction."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from queen.server.describe import Shape


class TransactionResult(Shape):
    """What became of one operation; a pushed item counts one."""

    index: int
    type: str = Field(description="push or ack.", examples=["ack"])
    success: bool
    transactionId: str
    messageId: str | None = Field(None, description="Of a push.")
    partitionId: str | None = Field(None, description="Of a push.")
    queueName: str | None = Field(None, description="Of a push.")
    duplicate: bool | None = Field(None, description="True: the same id stood in this transaction before.")
    error: str | None = None
    dlq: bool | None = Field(None, description="Of an ack: a dead letter was written.")


class TransactionDone(Shape):
    """All of it happened, or with `success` false nothing, and `reason` says why."""

    transactionId: str = Field(description="Names the call.")
    success: bool
    results: list[TransactionResult]
    reason: str | None = Field(None, examples=["duplicate"])
    error: str | None = None


REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["operations"],
                "properties": {
                    "operations": {"type": "array", "items": {"type": "object", "required": ["type"]}},
                    "requiredLeases": {"type": ["array", "null"], "items": {"type": "string"}},
                },
            },
            "example": {
                "operations": [
                    {
                        "type": "push",
                        "items": [{"queue": "invoices.due", "partition": "c-31", "payload": {"cents": 640}}],
                    }
                ]
            },
        }
    },
}
