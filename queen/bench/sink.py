"""`python -m queen.bench.sink`: a Queen in memory that is faster than the load, for the null run and the self-tests.

It speaks the hot routes of the wire contract, stores nothing, and has the faults it was ordered (`sink_faults`).
It ends with its standard input. Its first line of output is its port.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, cast
from urllib.parse import parse_qs, unquote

import msgspec

from queen.bench import sink_faults
from queen.bench.sink_faults import Faults
from queen.bench.sink_store import MESSAGES_MAX, Given, Queue, Store

_ZERO = "00000000-0000-0000-0000-000000000000"
_REASONS = {200: "OK", 201: "Created", 204: "No Content", 404: "Not Found", 503: "Service Unavailable"}
_EXPIRE_S = 0.05


class _Item(msgspec.Struct, gc=False):
    queue: str
    payload: msgspec.Raw
    partition: str = "Default"
    transactionId: str = ""


class _Push(msgspec.Struct):
    items: list[_Item]


class _Ack(msgspec.Struct, gc=False):
    transactionId: str
    partitionId: str
    leaseId: str = ""
    status: str = "completed"
    consumerGroup: str = ""


class _Acks(msgspec.Struct):
    acknowledgments: list[_Ack]
    consumerGroup: str = ""


_PUSH = msgspec.json.Decoder(_Push)
_ACK = msgspec.json.Decoder(_Ack)
_ACKS = msgspec.json.Decoder(_Acks)


class Sink:
    """What all connections share."""

    def __init__(self, faults: Faults, *, light: bool) -> None:
        self.faults = faults
        self.store = Store(faults, light=light)
        self.parked: dict[tuple[str, str], deque[Poll]] = defaultdict(deque)
        self.pushes = 0
        self._started = time.monotonic()

    def pushed(self, body: bytes) -> tuple[int, bytes]:
        """The answer to a push."""
        self._stall()
        if (self.faults.refuse and random.random() < self.faults.refuse) or self.store.held > MESSAGES_MAX:
            return 503, b'{"error":"shedding load","code":"overloaded"}'
        if self.store.light:
            count = body.count(b'"transactionId":"')
            self.store.stored += count
            return 201, b"[" + b",".join([b'{"status":"queued"}'] * count) + b"]"
        parts, touched = [], {}
        for index, item in enumerate(_PUSH.decode(body).items):
            queue = self.store.queue(item.queue)
            partition = self.store.push(queue, item.partition, item.transactionId, bytes(item.payload))
            touched[item.queue] = queue
            parts.append(
                f'{{"index":{index},"message_id":"{_ZERO}","transaction_id":"{item.transactionId}",'
                f'"queueName":"{item.queue}","partition_id":"{partition.id}","status":"queued"}}'
            )
        for queue in touched.values():
            self._wake(queue)
        return 201, f"[{','.join(parts)}]".encode()

    def _stall(self) -> None:
        if self.faults.stall_s and self.store.stored and time.monotonic() - self._started > self.faults.stall_at_s:
            length, self.faults.stall_s = self.faults.stall_s, 0.0
            time.sleep(length)

    def acked(self, body: bytes, *, single: bool) -> tuple[int, bytes]:
        """The answer to an ack."""
        if single:
            one = _ACK.decode(body)
            group, items = one.consumerGroup, [one]
        else:
            many = _ACKS.decode(body)
            group, items = many.consumerGroup, many.acknowledgments
        done = self._ack(group, items)
        parts = [
            f'{{"index":{index},"transactionId":"{item.transactionId}","success":true,"error":null}}'
            if done[item.partitionId]
            else f'{{"index":{index},"transactionId":"{item.transactionId}","success":false,"error":"expired lease"}}'
            for index, item in enumerate(items)
        ]
        return 200, f"[{','.join(parts)}]".encode()

    def _ack(self, group: str, items: list[_Ack]) -> dict[str, bool]:
        by_partition: dict[str, list[tuple[str, str]]] = {}
        leases: dict[str, str] = {}
        for item in items:
            by_partition.setdefault(item.partitionId, []).append((item.transactionId, item.status))
            leases[item.partitionId] = item.leaseId
        done = dict.fromkeys(by_partition, False)
        for queue in self.store.queues.values():
            for partition_id, pairs in by_partition.items():
                partition = queue.by_id.get(partition_id)
                if partition is not None and group in partition.cursors:
                    done[partition_id] = self.store.ack(queue, group, partition, leases[partition_id], pairs)
            self._wake(queue)
        return done

    def pop(self, poll: Poll) -> bytes | None:
        """The answer, or None when there is nothing."""
        queue = self.store.queue(poll.queue)
        given = self.store.pop(queue, poll.group, poll.batch, poll.spread, poll.lease_s, poll.auto)
        return _pop_answer(queue, poll.group, given) if given else None

    def _wake(self, queue: Queue) -> None:
        for group, ready in queue.ready.items():
            parked = self.parked[queue.name, group]
            while parked and ready:
                poll = parked.popleft()
                if not poll.connection.is_waiting(poll):
                    continue
                body = self.pop(poll)
                if body is None:
                    parked.appendleft(poll)
                    break
                poll.connection.answer_parked(200, body)

    def expire(self) -> None:
        self.store.expire()
        for queue in self.store.queues.values():
            self._wake(queue)


class Poll(NamedTuple):
    connection: Served
    queue: str
    group: str
    batch: int
    spread: int
    lease_s: float
    auto: bool
    wait_s: float


def _pop_answer(queue: Queue, group: str, given: Given) -> bytes:
    parts = [
        f'{{"id":"{_ZERO}","transactionId":"{transaction}","partition":"{partition.name}",'
        f'"partitionId":"{partition.id}","leaseId":"{given.lease}","deliveryAttempt":{attempt},"data":'.encode()
        + data
        + b"}"
        for partition, transaction, data, attempt in given
    ]
    head = f'{{"success":true,"queue":"{queue.name}","leaseId":"{given.lease}","consumerGroup":"{group}","messages":['
    return head.encode() + b",".join(parts) + b"]}"


class Served(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._poll: Poll | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._poll = self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end]
        place = head.lower().find(b"\r\ncontent-length:")
        length = int(head[place + 17 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        body, self._buffer = self._buffer[end + 4 : end + 4 + length], b""
        method, target = head.split(b" ", 2)[:2]
        if self._sink.faults.not_queen:
            self._answer(200, b"<html><body>It works!</body></html>", "text/html")
        else:
            self._handle(method, target, body)

    def _handle(self, method: bytes, target: bytes, body: bytes) -> None:
        if target == b"/api/v1/push":
            self._push(body)
        elif target in (b"/api/v1/ack", b"/api/v1/ack/batch"):
            self._answer(*self._sink.acked(body, single=target.endswith(b"/ack")))
        elif target.startswith(b"/api/v1/pop/queue/"):
            self._pop(target.decode())
        elif target == b"/api/v1/configure":
            name = msgspec.json.decode(body).get("queue", "")
            self._answer(200, msgspec.json.encode({"configured": True, "queue": name, "options": {}}))
        elif method == b"DELETE" and target.startswith(b"/api/v1/resources/queues/"):
            self._sink.store.queues.pop(unquote(target.decode().rsplit("/", 1)[1]), None)
            self._answer(200, b'{"deleted":true}')
        elif target.startswith(b"/health"):
            self._answer(200, b'{"status":"healthy","database":"connected","server":"queen-bench-sink"}')
        elif target.startswith(b"/metrics"):
            self._answer(200, msgspec.json.encode({"stored": self._sink.store.stored, "held": self._sink.store.held}))
        else:
            self._answer(404, b'{"error":"Not Found","code":"no_such_route"}')

    def _push(self, body: bytes) -> None:
        sink = self._sink
        sink.pushes += 1
        status, answer = sink.pushed(body)
        if sink.faults.cut and sink.pushes >= sink.faults.cut:
            sink.faults.cut = 0
            if self._transport is not None:
                self._transport.abort()
        elif sink.faults.delay_s:
            asyncio.get_running_loop().call_later(sink.faults.delay_s, self._answer, status, answer)
        else:
            self._answer(status, answer)

    def _pop(self, target: str) -> None:
        path, _, text = target.partition("?")
        query = {name: values[0] for name, values in parse_qs(text).items()}
        poll = Poll(
            self,
            unquote(path.rsplit("/", 1)[1]),
            query.get("consumerGroup", ""),
            max(1, int(query.get("batch", "200"))),
            int(query.get("partitions", "1")) or 1 << 30,
            float(query.get("leaseSeconds", "60")),
            query.get("autoAck") == "true",
            int(query.get("timeout", "30000")) / 1000 * 0.95 if query.get("wait") == "true" else 0,
        )
        body = self._sink.pop(poll)
        if body is not None:
            self._answer(200, body)
        elif poll.wait_s <= 0:
            self._answer(204, b"")
        else:
            self._poll = poll
            self._sink.parked[poll.queue, poll.group].append(poll)
            self._timer = asyncio.get_running_loop().call_later(poll.wait_s, self.answer_parked, 204, b"")

    def is_waiting(self, poll: Poll) -> bool:
        return self._poll is poll

    def answer_parked(self, status: int, body: bytes) -> None:
        self._poll = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._answer(status, body)

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        if self._transport is None:
            return
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        if status != 204:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self._transport.write(head.encode() + b"\r\n" + body)


async def serve(sink: Sink, port: int) -> asyncio.Server:
    """Listens on 127.0.0.1; 0 takes any free port."""
    return await asyncio.get_running_loop().create_server(lambda: Served(sink), "127.0.0.1", port, backlog=1024)


class Running(NamedTuple):
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running(faults: Sequence[str] = (), *, light: bool = False) -> Iterator[Running]:
    """A sink as a process of its own, gone afterwards. Raises SettingsError for a fault that does not exist."""
    sink_faults.parse(faults)
    command = [sys.executable, "-m", "queen.bench.sink", "--port", "0", *(["--light"] if light else [])]
    command += [word for fault in faults for word in ("--fault", fault)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        yield Running(int(process.stdout.readline()), process.pid)
    finally:
        process.kill()
        process.communicate()


async def main(arguments: argparse.Namespace) -> None:
    sink = Sink(sink_faults.parse(arguments.fault), light=arguments.light)
    server = await serve(sink, arguments.port)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - whoever started it reads the port
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ended = asyncio.ensure_future(reader.read())
    while not ended.done():
        await asyncio.wait((ended,), timeout=_EXPIRE_S)
        sink.expire()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--light", action="store_true")
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(parser.parse_args()))
    else:
        uvloop.run(main(parser.parse_args()))
