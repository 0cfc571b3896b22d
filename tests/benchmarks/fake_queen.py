"""A Queen in memory, as plain ASGI: push, waiting pop and ack of the wire contract, with faults to order.

It keeps just enough of the rules to check the load generator: order within a partition, one lease a partition,
an ack by position. Nothing is stored, nothing expires.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvicorn


class Item(msgspec.Struct):
    queue: str
    payload: msgspec.Raw
    partition: str = "Default"
    transactionId: str = ""


class Push(msgspec.Struct):
    items: list[Item]


class AckItem(msgspec.Struct):
    transactionId: str
    partitionId: str
    leaseId: str
    status: str = "completed"


class Ack(msgspec.Struct):
    acknowledgments: list[AckItem]


_PUSH = msgspec.json.Decoder(Push)
_ACK = msgspec.json.Decoder(Ack)


class Partition:
    def __init__(self, queue: str, name: str) -> None:
        self.queue = queue
        self.name = name
        self.id = str(uuid.uuid4())
        self.waiting: deque[Item] = deque()
        self.leased = 0
        self.lease = ""
        self.listed = False


class FakeQueen:
    """`fault` is "lose", "repeat", "swap", "corrupt", "refuse", "busy", "stall" or none; it strikes at message `at`."""

    def __init__(self, fault: str = "", at: int = 500) -> None:
        self.fault = fault
        self.at = at
        self.stored = 0
        self.partitions: dict[tuple[str, str], Partition] = {}
        self.by_id: dict[str, Partition] = {}
        self.ready: dict[str, deque[Partition]] = defaultdict(deque)
        self.waiters: dict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    def _hit(self, fault: str) -> bool:
        if self.fault == fault and self.stored >= self.at:
            self.fault = ""
            return True
        return False

    def push(self, body: bytes) -> tuple[int, bytes]:
        if self._hit("busy"):
            return 503, b'{"error":"shedding load"}'
        if self._hit("stall"):
            time.sleep(1.0)  # the whole server, as a server that hangs does
        results = []
        for index, item in enumerate(_PUSH.decode(body).items):
            partition = self._partition(item.queue, item.partition)
            self._store(partition, item)
            results.append(
                f'{{"index":{index},"message_id":"0","transaction_id":"{item.transactionId}",'
                f'"queueName":"{item.queue}","partition_id":"{partition.id}","status":"queued"}}'
            )
            self._offer(partition)
        return 201, ("[" + ",".join(results) + "]").encode()

    def _partition(self, queue: str, name: str) -> Partition:
        partition = self.partitions.get((queue, name))
        if partition is None:
            partition = self.partitions[queue, name] = Partition(queue, name)
            self.by_id[partition.id] = partition
        return partition

    def _store(self, partition: Partition, item: Item) -> None:
        self.stored += 1
        if self._hit("lose"):
            return
        if self.fault == "corrupt" and self.stored >= self.at:  # payloads are sampled, so all from there on
            item.payload = msgspec.Raw(b'{"broken":true}')
        if len(partition.waiting) > partition.leased and self._hit("swap"):
            partition.waiting.insert(len(partition.waiting) - 1, item)
            return
        partition.waiting.append(item)
        if self._hit("repeat"):
            partition.waiting.append(item)

    def _offer(self, partition: Partition) -> None:
        if partition.listed or partition.lease or not partition.waiting:
            return
        partition.listed = True
        self.ready[partition.queue].append(partition)
        waiters = self.waiters[partition.queue]
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def pop(self, queue: str, batch: int, timeout_s: float, *, auto_ack: bool) -> tuple[int, bytes]:
        ready = self.ready[queue]
        if not ready:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters[queue].append(waiter)
            await asyncio.wait([waiter], timeout=timeout_s)
            waiter.cancel()  # so that nobody wakes a poll that is over
        if not ready:
            return 204, b""
        partition = ready.popleft()
        partition.listed, partition.lease = False, str(uuid.uuid4())
        partition.leased = min(batch, len(partition.waiting))
        answer = self._pop_answer(partition)
        if auto_ack:
            for _ in range(partition.leased):
                partition.waiting.popleft()
            partition.lease, partition.leased = "", 0
            self._offer(partition)
        return 200, answer

    def _pop_answer(self, partition: Partition) -> bytes:
        tail = f'"queue":"q","partition":"{partition.name}","partitionId":"{partition.id}",'
        tail += f'"leaseId":"{partition.lease}","consumerGroup":"__QUEUE_MODE__","deliveryAttempt":1}}'
        messages = []
        for _, item in zip(range(partition.leased), partition.waiting, strict=False):
            payload = bytes(item.payload).decode()
            messages.append(f'{{"id":"0","transactionId":"{item.transactionId}","data":{payload},{tail}')
        head = f'{{"success":true,"partitionsClaimed":1,"leaseId":"{partition.lease}","messages":['
        return (head + ",".join(messages) + "]}").encode()

    def ack(self, body: bytes) -> tuple[int, bytes]:
        results = []
        touched: dict[str, Partition] = {}
        for index, item in enumerate(_ACK.decode(body).acknowledgments):
            partition = self.by_id[item.partitionId]
            good = partition.lease == item.leaseId
            if good:
                touched[partition.id] = partition
                assert partition.waiting.popleft().transactionId == item.transactionId
                good = not self._hit("refuse")
            error = "null" if good else '"invalid or expired lease"'
            results.append(
                f'{{"index":{index},"transactionId":"{item.transactionId}",'
                f'"success":{"true" if good else "false"},"error":{error}}}'
            )
        for partition in touched.values():
            partition.lease, partition.leased = "", 0
            self._offer(partition)
        return 200, ("[" + ",".join(results) + "]").encode()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, body = await self._answer(scope, receive)
        headers = (
            [] if status == 204 else [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: dict[str, Any], receive: Receive) -> tuple[int, bytes]:
        path: str = scope["path"]
        if path == "/health/ready":
            return 200, b"{}"
        if path.startswith("/api/v1/pop/"):
            query = dict(pair.split(b"=") for pair in scope["query_string"].split(b"&"))
            queue, auto_ack = path.rpartition("/")[2], query.get(b"autoAck") == b"true"
            return await self.pop(queue, int(query[b"batch"]), int(query[b"timeout"]) / 1000, auto_ack=auto_ack)
        body = await _read(receive)
        return self.push(body) if path == "/api/v1/push" else self.ack(body)


Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def _read(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        event = await receive()
        parts.append(event.get("body", b""))
        more = event.get("more_body", False)
    return b"".join(parts)


def main() -> None:
    """`python fake_queen.py [PORT [FAULT]]`: prints its port, serves until it is told to stop."""
    port, fault = ([*sys.argv[1:], "0", ""] if len(sys.argv) < 2 else [*sys.argv[1:], ""])[:2]
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=256)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(FakeQueen(fault), log_level="warning", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
