"""The verbs of the message plane. Knows routes and parameters; retries, time-outs and failover are the transport's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from queen.client import messages as codec
from queen.client import transactions
from queen.client.messages import Ack, Acked, LeasedBatch, Message, NewMessage, Pushed
from queen.client.reading import params, queens_answer, segment
from queen.client.retry import RetryPolicy
from queen.client.transactions import Transacted
from queen.client.transport import Answer, Transport

_POP_GRACE_S = 5.0


class MessagePlane:
    """Push, pop, ack and what belongs to them, over one transport."""

    def __init__(
        self, urls: Sequence[str], *, timeout_s: float, token: str | None, connections_max: int, retry: RetryPolicy
    ) -> None:
        self._transport = Transport(
            urls, timeout_s=timeout_s, token=token, connections_max=connections_max, retry=retry
        )
        self._timeout_s = timeout_s
        self.retry = retry

    @property
    def url(self) -> str:
        """The servers' URLs, without credentials."""
        return self._transport.shown_url

    @property
    def retries(self) -> int:
        """How many tries were repeated so far, over all calls."""
        return self._transport.retries

    @property
    def reached(self) -> bool:
        """Has any server ever answered this client?"""
        return self._transport.reached

    async def push(self, messages: Sequence[NewMessage]) -> list[Pushed]:
        """Store messages; one result per message in the same order. `failed` items are returned, not raised.

        When it raises a retryable error, the messages may be stored or not: push the same objects again."""
        return await self._pushed(codec.encode_push(messages), len(messages))

    async def push_encoded(self, items: Sequence[bytes]) -> list[Pushed]:
        """Store messages that `encode_message` has made ready; the results as those of `push`."""
        return await self._pushed(codec.encode_push_of(items), len(items))

    async def pop(
        self,
        queue: str,
        *,
        partition: str | None = None,
        group: str | None = None,
        batch: int = 100,
        partitions: int = 1,
        wait: bool = False,
        wait_ms: int = 30_000,
        lease_seconds: int | None = None,
        subscription_mode: str | None = None,
        auto_ack: bool = False,
    ) -> LeasedBatch:
        """Lease up to `batch` messages of up to `partitions` partitions (0: any number). With `wait`, the server waits
        up to `wait_ms` for something to come. The batch is empty when nothing was there. With `auto_ack` the messages
        are acked at delivery, without a lease: a lost answer is a lost batch.

        A cancelled pop closes its connection. What an answer on its way had leased comes again when the lease ends."""
        path = f"/api/v1/pop/queue/{segment(queue)}"
        if partition is not None:
            path += f"/partition/{segment(partition)}"
        query = params(
            batch=batch,
            partitions=partitions,
            wait=True if wait else None,
            timeout=wait_ms if wait else None,
            consumerGroup=group or None,
            leaseSeconds=lease_seconds,
            subscriptionMode=subscription_mode,
            autoAck=True if auto_ack else None,
        )
        timeout_s = max(self._timeout_s, wait_ms / 1000 + _POP_GRACE_S) if wait else self._timeout_s
        answer = await self._transport.request("GET", path, params=query, timeout_s=timeout_s)
        with queens_answer(self.url):
            return codec.EMPTY if answer.status == 204 else codec.decode_pop(answer.body)

    async def ack(
        self,
        messages: Sequence[Message],
        status: str = "completed",
        error: str | None = None,
    ) -> list[Acked]:
        """Settle messages of one consumer group as `completed`, `failed`, `retry` (give back) or `dlq`."""
        return await self.settle([Ack(message, status, error) for message in messages])

    async def settle(self, acks: Sequence[Ack]) -> list[Acked]:
        """Settle messages of one consumer group, each as its `Ack` says, in one request."""
        if not acks:
            return []
        answer = await self._transport.request("POST", "/api/v1/ack/batch", body=codec.encode_ack(acks))
        with queens_answer(self.url):
            return codec.decode_acked(answer.body, len(acks))

    async def extend(self, lease_id: str, seconds: int = 60) -> dict[str, Any]:
        """Move the end of a lease to at least `seconds` from now. `renewed` of the answer is 0 when it was lost."""
        body = msgspec.json.encode({"seconds": seconds})
        answer = await self._transport.request("POST", f"/api/v1/lease/{segment(lease_id)}/extend", body=body)
        return self._object(answer)

    async def transaction(self, *, push: Sequence[NewMessage] = (), ack: Sequence[Ack] = ()) -> Transacted:
        """Push and settle together or not at all. Raises TransactionRefused when it was rolled back; `reason` is
        `duplicate` for a transaction id that is stored already, `ack_rejected` for an ack that cannot be carried out.

        A repeated transaction is refused as its own duplicate. When an earlier try of this very call may have been
        carried out, the hint of the error says so."""
        if not push and not ack:
            return Transacted([], [])
        answer = await self._transport.request("POST", "/api/v1/transaction", body=transactions.encode(push, ack))
        with queens_answer(self.url):
            return transactions.decode(answer.body, pushes=len(push), acks=len(ack), repeated=answer.repeated)

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The decoded answer of any GET route; None when it has no body."""
        return self._any(await self._transport.request("GET", path, params=params))

    async def post(self, path: str, body: object = None) -> Any:
        """The decoded answer of any POST route, with `body` sent as JSON (None: no body); None when it has no body."""
        content = None if body is None else msgspec.json.encode(body)
        return self._any(await self._transport.request("POST", path, body=content))

    async def delete(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The decoded answer of any DELETE route; None when it has no body."""
        return self._any(await self._transport.request("DELETE", path, params=params))

    async def _pushed(self, body: bytes, count: int) -> list[Pushed]:
        answer = await self._transport.request("POST", "/api/v1/push", body=body)
        with queens_answer(self.url):
            return codec.decode_pushed(answer.body, count)

    def _any(self, answer: Answer) -> Any:
        with queens_answer(self.url):
            return msgspec.json.decode(answer.body) if answer.body else None

    def _object(self, answer: Answer) -> dict[str, Any]:
        with queens_answer(self.url):
            return msgspec.json.decode(answer.body, type=dict[str, Any])
