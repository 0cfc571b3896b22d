"""The verbs around the messages: queues, consumer groups, dead letters, health and numbers.

Lists come in pages, whose length the caller bounds. Names are free text, slashes included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from queen.client.listed import (
    DeadLetter,
    DeadLetterList,
    GroupSummary,
    Page,
    QueueDetail,
    QueueList,
    QueueSummary,
    Replayed,
)
from queen.client.plane import MessagePlane
from queen.client.reading import params, queens_answer, segment
from queen.client.transport import Answer

_Type = TypeVar("_Type")


class Administration(MessagePlane):
    """The message plane with all that is around it."""

    async def configure(
        self,
        queue: str,
        options: Mapping[str, object] | None = None,
        *,
        namespace: str | None = None,
        task: str | None = None,
        replace: bool = False,
    ) -> dict[str, Any]:
        """Create a queue or change its options; the answer holds the effective ones. Names and units of the options
        are those of docs/http.md: `leaseTime` in seconds, `retryDelay` in milliseconds. An option of None goes back
        to its default, one that is not named stays, or with `replace` goes back too."""
        body: dict[str, object] = {"queue": queue, "options": dict(options or {})}
        if namespace is not None:
            body["namespace"] = namespace
        if task is not None:
            body["task"] = task
        if replace:
            body["mode"] = "replace"
        content = msgspec.json.encode(body)
        return self._object(await self._transport.request("POST", "/api/v1/configure", body=content))

    async def queues(
        self,
        *,
        search: str | None = None,
        namespace: str | None = None,
        task: str | None = None,
        limit: int = 1000,
        offset: int = 0,
    ) -> Page[QueueSummary]:
        """Queues by name: those that hold `search` in it, and with exactly this namespace and task."""
        query = params(search=search, namespace=namespace, task=task, limit=limit, offset=offset)
        answer = await self._transport.request("GET", "/api/v1/resources/queues", params=query)
        return Page(self._read(answer, QueueList).queues, answer.more)

    async def queue(self, name: str) -> QueueDetail:
        """One queue with options, partitions and counts. Raises NotFound."""
        return self._read(await self._transport.request("GET", _queue_path(name)), QueueDetail)

    async def delete_queue(self, name: str) -> bool:
        """Delete a queue and all that is in it. False when there was none, also when a repeated try found it gone."""
        answer = self._object(await self._transport.request("DELETE", _queue_path(name)))
        return answer.get("deleted") is True

    async def groups(self, *, limit: int = 1000, offset: int = 0) -> Page[GroupSummary]:
        """Consumer groups, one entry for each queue of each group. Without a group consumers are `__QUEUE_MODE__`."""
        query = params(limit=limit, offset=offset)
        answer = await self._transport.request("GET", "/api/v1/consumer-groups", params=query)
        return Page(self._read(answer, list[GroupSummary]), answer.more)

    async def seek_group(
        self, group: str, queue: str, to: datetime | Literal["end"], *, partition: str | None = None
    ) -> int:
        """Move a group on a queue, or on one partition of it, to the first message stored at or after a time (without
        a zone: UTC), or behind the last one with "end". Ends its leases there. How many partitions moved. Raises
        NotFound without such a queue, or such a partition."""
        path = f"{_group_path(group)}/queues/{segment(queue)}"
        if partition is not None:
            path += f"/partitions/{segment(partition)}"
        body: dict[str, object] = {"toEnd": True} if to == "end" else {"timestamp": to.isoformat()}
        content = msgspec.json.encode(body)
        answer = self._object(await self._transport.request("POST", f"{path}/seek", body=content))
        return int(answer.get("partitionsUpdated", answer.get("updated", 0)))

    async def delete_group(self, group: str, *, queue: str | None = None, keep_subscription: bool = False) -> int:
        """Forget a group, everywhere or on one queue: its next pop is a first contact again. With `keep_subscription`
        it then starts where it was subscribed to. How many partitions it was on; 0 also for an unknown group."""
        path = _group_path(group) + ("" if queue is None else f"/queues/{segment(queue)}")
        query = params(deleteMetadata=not keep_subscription)
        answer = self._object(await self._transport.request("DELETE", path, params=query))
        return int(answer.get("deletedPartitions") or 0)

    async def dead_letters(
        self,
        *,
        queue: str | None = None,
        group: str | None = None,
        partition: str | None = None,
        failed_from: datetime | None = None,
        failed_to: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> Page[DeadLetter]:
        """Messages that were set aside, newest first. The page's `total` counts all that match."""
        query = params(
            queue=queue,
            consumerGroup=group,
            partition=partition,
            from_=failed_from.isoformat() if failed_from else None,
            to=failed_to.isoformat() if failed_to else None,
            limit=limit,
            offset=offset,
        )
        answer = await self._transport.request("GET", "/api/v1/dlq", params=query)
        found = self._read(answer, DeadLetterList)
        return Page(found.messages, answer.more, found.total)

    async def replay(
        self, dead_letter: DeadLetter | str, *, queue: str | None = None, partition: str | None = None
    ) -> Replayed:
        """Push a dead letter again, as the newest message of its partition or of the one that is named, and remove the
        record. Raises NotFound when there is no such record, also when a repeated try finds it replayed."""
        dead_letter_id = dead_letter if isinstance(dead_letter, str) else dead_letter.id
        named = {name: value for name, value in (("queue", queue), ("partition", partition)) if value is not None}
        content = msgspec.json.encode(named) if named else None
        answer = await self._transport.request("POST", f"/api/v1/dlq/{segment(dead_letter_id)}/replay", body=content)
        return self._read(answer, Replayed)

    async def health(self) -> dict[str, Any]:
        """What /health of the server whose turn it is says, in one try; `status` is "healthy" or not, which is an
        answer too. Raises ServerUnreachable."""
        return self._object(await self._transport.request("GET", "/health", once=True, accepted=(503,)))

    async def metrics(self) -> dict[str, Any]:
        """The numbers of the server whose turn it is."""
        return self._object(await self._transport.request("GET", "/metrics"))

    def _read(self, answer: Answer, type_: type[_Type]) -> _Type:
        with queens_answer(self.url):
            return msgspec.json.decode(answer.body, type=type_)


def _queue_path(name: str) -> str:
    return f"/api/v1/resources/queues/{segment(name)}"


def _group_path(group: str) -> str:
    return f"/api/v1/consumer-groups/{segment(group)}"
