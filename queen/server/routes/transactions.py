"""Transactions: pushes and acks together or not at all (http-api.md §4.7)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from queen import errors, model, wire
from queen.engine.ack import AckResult
from queen.engine.transaction import AckOperation, Operation, Pushed, Result
from queen.model import NewMessage
from queen.server.context import context
from queen.server.describe import answers, refusals
from queen.server.shapes.transactions import REQUEST_BODY, TransactionDone

router = APIRouter(prefix="/api/v1", tags=["messages"])

OPERATIONS_MAX = 1_000
"""Most operations of one transaction, in both modes."""


@router.post(
    "/transaction",
    responses={**answers(TransactionDone, "Done, or undone as a whole."), **refusals(400, 413, 429)},
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def transaction(request: Request) -> Response:
    """Carry out `{"operations": [{"type": "push"|"ack", …}], "requiredLeases": […]}` in one commit.

    200 for a commit and for a rollback: `success` tells, and `reason` says why nothing happened.
    """
    here = context(request)
    asked = wire.decode_transaction(await request.body())
    own_id = model.new_transaction_id()
    if asked.riders:
        return _rolled_back(own_id, "bad_request", f"{asked.riders} is not supported")
    if len(asked.operations) > OPERATIONS_MAX:
        raise errors.InvalidRequest(
            f"bad body: {len(asked.operations)} operations, {OPERATIONS_MAX} is the most",
            hint="split the transaction, or push outside of it",
        )
    operations: list[Operation] = [
        one if isinstance(one, NewMessage) else AckOperation(*one) for one in asked.operations
    ]
    try:
        results = await here.engine.transact(operations, asked.required_leases)
    except errors.TransactionRefused as error:
        return _rolled_back(own_id, error.reason, error.message)
    headers = {"Queen-Durability": here.engine.store.durability}
    content = {
        "transactionId": own_id,
        "success": True,
        "results": [
            _result(index, operation, result)
            for index, (operation, result) in enumerate(zip(operations, results, strict=True))
        ],
    }
    return Response(wire.encode(content), media_type="application/json", headers=headers)


def _rolled_back(own_id: str, reason: str, text: str) -> Response:
    content = {"transactionId": own_id, "success": False, "reason": reason, "error": text, "results": []}
    return Response(wire.encode(content), media_type="application/json")


def _result(index: int, operation: Operation, result: Result) -> dict[str, Any]:
    if isinstance(result, Pushed):
        return _pushed(index, result)
    assert isinstance(result, AckResult)
    assert isinstance(operation, AckOperation)
    return {
        "index": index,
        "type": "ack",
        "success": result.error is None,
        "transactionId": operation.item.transaction_id.decode(),
        "error": result.error,
        "dlq": result.dead,
    }


def _pushed(index: int, result: Pushed) -> dict[str, Any]:
    partition, offset = result.partition, result.stored.offset
    assert offset is not None, "a committed message has an offset"
    found = {
        "index": index,
        "type": "push",
        "success": True,
        "transactionId": result.message.transaction_id.decode(),
        "messageId": model.encode_id(model.MESSAGE, partition.id, offset),
        "partitionId": partition.id_text,
        "queueName": partition.queue.name,
    }
    if result.stored.duplicate:
        found["duplicate"] = True
    return found
