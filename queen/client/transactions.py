"""A transaction's body and its answer as values. Knows nothing of HTTP.

Acks come before pushes in the body; the answer is flat, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from queen.client.messages import Ack, Acked, NewMessage, Pushed, ack_item
from queen.errors import ServerUnreachable, TransactionRefused
from queen.model import QUEUE_MODE

_REPEATED_HINT = "An earlier try of this call got no answer and may have been carried out: look before you repeat it."


@dataclass(frozen=True, slots=True)
class Transacted:
    """What a transaction did: `acked` and `pushed` in the order they were asked for."""

    acked: list[Acked]
    pushed: list[Pushed]


class _Result(Struct, rename="camel"):
    type: str
    success: bool
    transaction_id: str = ""
    message_id: str = ""
    error: str | None = None
    duplicate: bool = False
    dlq: bool = False


class _Answer(Struct, rename="camel"):
    success: bool
    results: list[_Result] = []
    error: str | None = None
    reason: str = ""


_decode = msgspec.json.Decoder(_Answer).decode


def encode(pushes: Sequence[NewMessage], acks: Sequence[Ack]) -> bytes:
    """The body."""
    operations: list[dict[str, Any]] = [_ack_operation(ack) for ack in acks]
    if pushes:
        operations.append({"type": "push", "items": pushes})
    return msgspec.json.encode({"operations": operations})


def decode(body: bytes, *, pushes: int, acks: int, repeated: bool) -> Transacted:
    """What was done. Raises TransactionRefused when all of it was rolled back."""
    answer = _decode(body)
    if not answer.success:
        error = TransactionRefused(answer.error or "the transaction was rolled back", reason=answer.reason)
        error.hint = _REPEATED_HINT if repeated else None
        raise error
    if len(answer.results) != acks + pushes:
        raise ServerUnreachable(f"the server answered {len(answer.results)} results to {acks + pushes} operations")
    return Transacted(
        [
            Acked(one.success, transaction_id=one.transaction_id, error=one.error, dlq=one.dlq)
            for one in answer.results[:acks]
        ],
        [
            Pushed("duplicate" if one.duplicate else "queued", one.message_id, one.transaction_id)
            for one in answer.results[acks:]
        ],
    )


def _ack_operation(ack: Ack) -> dict[str, Any]:
    operation: dict[str, Any] = {"type": "ack", **ack_item(*ack)}
    group = ack.message.consumer_group
    return operation if group in ("", QUEUE_MODE) else {**operation, "consumerGroup": group}
