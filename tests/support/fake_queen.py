"""A Queen in memory for tests of the client side: real sockets, no database, and faults on demand.

It keeps the message plane's promises that clients lean on (dedup by transaction id, one lease per partition and group,
order, acks that move a cursor), and breaks down exactly as a test asks: see `Fault`. It runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

ZERO_ID = "00000000-0000-0000-0000-000000000000"


@dataclass
class Fault:
    """One misbehaviour of the next request of a kind. `process`: it takes effect before things go wrong."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error":"no"}'
    cut: bool = False
    process: bool = False


def refuse(status: int, error: str = "no", **extra: Any) -> Fault:
    """An error answer; `retry_after` sets the header, other words go into the body."""
    retry_after = extra.pop("retry_after", None)
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Fault(status=status, headers=headers, body=json.dumps({"error": error, **extra}).encode())


def cut(*, process: bool) -> Fault:
    """The connection breaks in the middle of the answer, with the request done or not."""
    return Fault(cut=True, process=process)


class _Log(list[dict[str, Any]]):
    """The messages of a partition, and the place of each transaction id among them."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, int] = {}

    def add(self, transaction_id: str, payload: Any) -> None:
        self.places.setdefault(transaction_id, len(self))
        self.append({"transactionId": transaction_id, "payload": payload})


@dataclass
class Seen:
    """A request as it arrived."""

    kind: str
    path: str
    query: dict[str, str]
    body: Any
    method: str = ""


Answer = tuple[int, dict[str, str], bytes]


class FakeQueen:
    """State that tests look at: `seen` requests, stored `logs` by (queue, partition), `cursors`, `acks`. `replies` are
    fixed answers by "METHOD path"; what is none of the message plane's is echoed without one."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.logs: dict[tuple[str, str], _Log] = defaultdict(_Log)
        self.cursors: dict[tuple[str, str, str], int] = defaultdict(int)
        self.leases: dict[tuple[str, str, str], tuple[str, int]] = {}
        self.deliveries: dict[tuple[str, str, str, int], int] = defaultdict(int)
        self.acks: list[dict[str, Any]] = []
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.replies: dict[str, tuple[int, Any, dict[str, str]]] = {}
        self.fail_item: Callable[[dict[str, Any]], str | None] = lambda item: None
        self.reached = threading.Event()
        self._hold: asyncio.Event | None = None
        self._changed = asyncio.Event()
        self._loop = asyncio.new_event_loop()

    def of(self, kind: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.kind == kind]

    def payloads(self, queue: str, partition: str) -> list[Any]:
        return [item["payload"] for item in self.logs[queue, partition]]

    def all_payloads(self, queue: str) -> list[Any]:
        return [
            payload
            for name, partition in list(self.logs)
            if name == queue
            for payload in self.payloads(name, partition)
        ]

    def hold(self) -> None:
        """From now on requests wait, before they take effect, until `release`. `reached` tells of the first."""
        self.reached.clear()
        self._call(lambda: setattr(self, "_hold", asyncio.Event()))

    def release(self) -> None:
        def let_go() -> None:
            if self._hold is not None:
                self._hold.set()
            self._hold = None

        self._call(let_go)

    def reply(self, what: str, body: Any, status: int = 200, **headers: str) -> None:
        """From now on "METHOD path" is answered so; underscores of header names stand for dashes."""
        self.replies[what] = status, body, {name.replace("_", "-"): value for name, value in headers.items()}

    def put(self, queue: str, partition: str, *payloads: Any) -> None:
        """Store messages without a request."""
        items = [{"queue": queue, "partition": partition, "payload": payload} for payload in payloads]
        self._call(lambda: self._push({"items": items}))

    def _call(self, work: Callable[[], Any]) -> None:
        async def run() -> None:
            work()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    # Requests

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._serve_one(reader, writer):
                pass
        writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path, _, query = target.partition("?")
        seen = Seen(
            _kind(path), path, {name: values[0] for name, values in parse_qs(query).items()}, _json(body), method
        )
        self.seen.append(seen)
        self.reached.set()
        if self._hold is not None:
            await self._hold.wait()
        fault = self.faults[seen.kind].popleft() if self.faults[seen.kind] else None
        status, extra, content = await self._answer(method, seen, fault)
        text = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in extra.items())]
        if status != 204:
            text += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        data = "\r\n".join([*text, "", ""]).encode() + content
        writer.write(data[: len(data) - 3] if fault and fault.cut else data)
        await writer.drain()
        return not (fault and fault.cut)

    async def _answer(self, method: str, seen: Seen, fault: Fault | None) -> Answer:
        if fault and not fault.process:
            return fault.status or 200, fault.headers, fault.body
        answer = await self._handle(method, seen)
        return (fault.status, fault.headers, fault.body) if fault and fault.status else answer

    async def _handle(self, method: str, seen: Seen) -> Answer:
        if seen.kind == "push":
            return 201, {}, json.dumps(self._push(seen.body)).encode()
        if seen.kind == "pop":
            return await self._pop_waiting(seen)
        if seen.kind == "ack":
            return 200, {}, json.dumps(self._ack(seen.body)).encode()
        if (reply := self.replies.get(f"{method} {seen.path}")) is not None:
            return reply[0], reply[2], json.dumps(reply[1]).encode()
        echo = {"method": method, "path": seen.path, "query": seen.query, "body": seen.body}
        return 200, {}, json.dumps(echo | (self._extend(seen) if seen.kind == "lease" else {})).encode()

    def _push(self, body: Any) -> list[dict[str, Any]]:
        results = [self._store(index, item) for index, item in enumerate(body["items"])]
        self._changed.set()
        self._changed = asyncio.Event()
        return results

    def _store(self, index: int, item: dict[str, Any]) -> dict[str, Any]:
        queue, partition = item["queue"], item.get("partition") or "Default"
        log = self.logs[queue, partition]
        result = {
            "index": index,
            "transaction_id": item.get("transactionId"),
            "message_id": ZERO_ID,
            "queueName": queue,
        }
        if (error := self.fail_item(item)) is not None:
            return {**result, "status": "failed", "error": error}
        if item.get("transactionId") in log.places:
            return {**result, "status": "duplicate"}
        transaction_id = item.get("transactionId") or f"{partition}-{len(log)}"
        log.add(transaction_id, item["payload"])
        return {**result, "status": "queued", "transaction_id": transaction_id}

    async def _pop_waiting(self, seen: Seen) -> Answer:
        wait_s = int(seen.query.get("timeout", 0)) / 1000 if seen.query.get("wait") == "true" else 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while (answer := self._pop(seen)) is None:
                    await self._changed.wait()
                return 200, {}, json.dumps(answer).encode()
        return 204, {}, b""

    def _pop(self, seen: Seen) -> dict[str, Any] | None:
        parts = seen.path.split("/")
        queue, only = unquote(parts[5]), unquote(parts[7]) if len(parts) > 7 else None
        group = seen.query.get("consumerGroup", "__QUEUE_MODE__")
        left, messages, lease = int(seen.query["batch"]), [], f"lease-{len(self.seen)}"
        for name, partition in list(self.logs):
            key = (queue, partition, group)
            if name != queue or only not in (None, partition) or key in self.leases or not left:
                continue
            start = self.cursors[key]
            taken = self.logs[queue, partition][start : start + left]
            if taken:
                if seen.query.get("autoAck") == "true":
                    self.cursors[key] = start + len(taken)
                else:
                    self.leases[key] = (lease, start + len(taken))
                messages += [self._message(key, lease, start + place, item) for place, item in enumerate(taken)]
                left -= len(taken)
        return {"success": True, "queue": queue, "leaseId": lease, "messages": messages} if messages else None

    def _message(self, key: tuple[str, str, str], lease: str, offset: int, item: dict[str, Any]) -> dict[str, Any]:
        queue, partition, group = key
        self.deliveries[*key, offset] += 1
        return {
            "id": f"{partition}/{offset}",
            "transactionId": item["transactionId"],
            "partitionId": f"id of {partition}",
            "partition": partition,
            "queue": queue,
            "leaseId": lease,
            "consumerGroup": group,
            "data": item["payload"],
            "createdAt": "2026-01-01T00:00:00.000000Z",
            "deliveryAttempt": self.deliveries[*key, offset],
            "future": "field",
        }

    def _ack(self, body: Any) -> list[dict[str, Any]]:
        group, results = body.get("consumerGroup", "__QUEUE_MODE__"), []
        ended = set()
        for index, item in enumerate(body["acknowledgments"]):
            self.acks.append(item)
            key = self._key_of(item, group)
            error = None if key else "invalid or expired lease"
            if key:
                if item["status"] != "completed":
                    ended.add(key)
                elif key not in ended:
                    offset = self.logs[key[0], key[1]].places[item["transactionId"]]
                    self.cursors[key] = max(self.cursors[key], offset + 1)
                    if self.cursors[key] == self.leases[key][1]:
                        ended.add(key)
            results.append(
                {"index": index, "transactionId": item["transactionId"], "success": key is not None, "error": error}
            )
        for key in ended:
            del self.leases[key]
        self._changed.set()
        self._changed = asyncio.Event()
        return results

    def _extend(self, seen: Seen) -> dict[str, Any]:
        lease = unquote(seen.path.split("/")[4])
        return {"leaseId": lease, "renewed": sum(lease == one for one, _ in self.leases.values())}

    def _key_of(self, item: dict[str, Any], group: str) -> tuple[str, str, str] | None:
        partition = item["partitionId"].removeprefix("id of ")
        for key, (lease, _) in self.leases.items():
            if key[1:] == (partition, group) and lease == item.get("leaseId"):
                return key
        return None


def _kind(path: str) -> str:
    for kind in ("push", "pop", "ack", "lease"):
        if path.startswith(f"/api/v1/{kind}"):
            return kind
    return "other"


def _json(body: bytes) -> Any:
    return json.loads(body) if body else None


@contextmanager
def fake_queen() -> Iterator[FakeQueen]:
    """A running FakeQueen on a free port."""
    queen, started, loop = FakeQueen(), threading.Event(), None
    loop = queen._loop
    ending = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(queen.serve_connection, "127.0.0.1", 0, limit=1 << 26)
        queen.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await ending.wait()
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield queen
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(30)
        loop.close()
