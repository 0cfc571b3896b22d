"""One consumer: pop, check every message, simulated work, ack, and again. One connection, one request at a time.

The moment of a delivery is that at which its answer was read, before any ack of it is written.
"""

from __future__ import annotations

import asyncio
import random
import time
import zlib
from collections.abc import Callable
from urllib.parse import quote, urlencode

import msgspec

from queen.bench.link import Link, Tally, post
from queen.bench.orders import Plan
from queen.bench.payload import Reader
from queen.bench.recorder import EVIDENCE_MAX, Recorder
from queen.bench.records import ACK_REFUSED, ACK_UNKNOWN, ACKED, FAILED, FOREIGN, RETRY, lease_hash

_PAUSE_S = 0.1
"""After a refused pop."""
_WORDS = {ACKED: "completed", RETRY: "retry", FAILED: "failed"}


class Message(msgspec.Struct, gc=False):
    transactionId: str
    partitionId: str
    leaseId: str
    data: msgspec.Raw
    deliveryAttempt: int = 1


class _Answer(msgspec.Struct, gc=False):
    messages: list[Message]


class _Item(msgspec.Struct, gc=False):
    success: bool = False


_POP = msgspec.json.Decoder(_Answer)
_ITEMS = msgspec.json.Decoder(list[_Item])


class Batch:
    """What one pop brought, and how far it is acked. `outcomes` are what is to be done with each message."""

    __slots__ = ("at", "fields", "handled", "lease", "messages", "outcomes", "place")

    def __init__(self, messages: list[Message], fields: list[bytes], at: int) -> None:
        self.messages, self.fields, self.at = messages, fields, at
        self.lease = lease_hash(messages[0].leaseId.encode())
        self.outcomes: list[int] = [ACKED] * len(messages)
        self.handled = 0
        """Nanoseconds of the handler."""
        self.place = 0


class Consumer:
    """`on_quiet`: asked to stop, and nothing is under way."""

    def __init__(
        self,
        plan: Plan,
        group: int,
        target: str,
        recorder: Recorder,
        tally: Tally,
        on_quiet: Callable[[], None],
        on_trouble: Callable[[str, str], None],
        seed: int,
    ) -> None:
        load = plan.workload
        self._load, self._group, self._recorder, self._tally = load, group, recorder, tally
        self._on_quiet, self._on_trouble = on_quiet, on_trouble
        self._reader = Reader(plan.run_id)
        self._random = random.Random(f"{plan.seed} {plan.worker} {seed}")
        self._name = plan.groups[group] if plan.groups else ""
        timeout_s = max(plan.request_timeout_s, load.pop_wait_ms / 1000 + 5)
        self.link = Link(target, self, tally, int(timeout_s * 1e9))
        self._request = self._pop_request(plan.queue, self.link.target)
        self._batch: Batch | None = None
        self._ack_sent = 0
        self._asked = 0
        self._ack_of: list[int] = []
        self._is_on = self._is_quiet = False
        self._timer: asyncio.TimerHandle | None = None
        self._stall_s = 0.0

    def start(self) -> None:
        self._is_on, self._is_quiet = True, False
        if self.link.is_open and not self.link.sent_ns and self._batch is None and self._timer is None:
            self._pop()

    def stop(self) -> None:
        self._is_on = False
        self._check_quiet()

    def stall(self, seconds: float) -> None:
        """Hold the next batch for so long before it is acked."""
        self._stall_s = seconds

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.link.close()

    # Pop

    def _pop_request(self, queue: str, target: bytes) -> bytes:
        load = self._load
        query: dict[str, str | int] = {"batch": load.pop_batch, "partitions": load.pop_partitions}
        query |= {"wait": "true", "timeout": load.pop_wait_ms, "leaseSeconds": load.lease_s}
        if self._name:
            query["consumerGroup"] = self._name
        if load.ack == "auto":
            query["autoAck"] = "true"
        path = f"/api/v1/pop/queue/{quote(queue, safe='')}?{urlencode(query)}"
        return f"GET {path} HTTP/1.1\r\nHost: ".encode() + target + b"\r\n\r\n"

    def _pop(self) -> None:
        self._timer = None
        if not self._is_on:
            self._check_quiet()
        elif self.link.is_open:
            self._asked = self.link.send(self._request)
            self._tally.counts.pops += 1

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, call)

    def on_free(self, link: Link) -> None:
        if self._batch is not None:
            if self._timer is None:
                self._ack_next()
        elif self._timer is None and self._is_on:
            self._pop()

    def on_lost(self, link: Link) -> None:
        """What was to be sent next waits for the connection."""

    def on_answer(self, link: Link, status: int, body: bytes, now: int) -> None:
        if self._batch is not None:
            self._on_acked(self._batch, status, body, now)
        elif status == 200:
            self._on_popped(body, now)
        elif status == 204:
            self._tally.counts.pops_empty += 1
            self._pop()
        else:
            self._tally.errors[f"pop http_{status}"] += 1
            self._later(_PAUSE_S, self._pop)

    def on_failed(self, link: Link, kind: str, now: int) -> None:
        batch = self._batch
        if batch is not None:
            places = self._ack_of
            self._settle(batch, places, [ACK_UNKNOWN] * len(places), now)
            self._advance(batch)
        else:
            self._check_quiet()

    def _on_popped(self, body: bytes, now: int) -> None:
        try:
            messages = _POP.decode(body).messages
        except msgspec.DecodeError:
            messages = []
        if not messages:
            self._on_trouble("not_queen", "a pop was answered with something that is no list of messages")
            return
        fields: list[bytes] = []
        flags: list[int] = []
        attempts: list[int] = []
        read = self._reader.read
        for message in messages:
            field, flag = read(bytes(message.data), message.transactionId)
            fields.append(field)
            flags.append(flag)
            attempts.append(message.deliveryAttempt)
            if flag:
                self._note(message, flag)
        batch = Batch(
            messages, [b"" if flag & FOREIGN else field for field, flag in zip(fields, flags, strict=True)], now
        )
        self._tally.counts.delivered += len(messages)
        self._recorder.popped(self._group, self._asked, now, batch.lease, fields, attempts, flags)
        self._batch = batch
        if self._load.ack == "auto":
            self._ack_sent = now
            self._settle(batch, list(range(len(messages))), batch.outcomes, now)
            batch.place = len(messages)
        elif self._load.nack_share or self._load.poison_share:
            self._decide(batch)
        self._work(batch)

    def _note(self, message: Message, flag: int) -> None:
        if len(self._recorder.evidence) < EVIDENCE_MAX:
            data = bytes(message.data)[-120:].decode("utf-8", "replace")
            self._recorder.evidence.append(f"flag {flag}: {message.transactionId}: …{data}")

    def _decide(self, batch: Batch) -> None:
        """Which messages are given back or failed. Those behind one, of the same partition, come again with it."""
        given: set[str] = set()
        for place, message in enumerate(batch.messages):
            if message.partitionId in given:
                batch.outcomes[place] = RETRY
            elif self._is_poison(message.transactionId):
                batch.outcomes[place] = FAILED
            elif message.deliveryAttempt == 1 and self._random.random() < self._load.nack_share:
                batch.outcomes[place] = RETRY
            if batch.outcomes[place] != ACKED:
                given.add(message.partitionId)

    def _is_poison(self, transaction: str) -> bool:
        """The same word at every delivery."""
        return zlib.crc32(transaction.encode()) / 2**32 < self._load.poison_share

    def _work(self, batch: Batch) -> None:
        low, high = self._load.handler_ms
        wait_s = self._random.uniform(low, high) / 1000 + self._stall_s if high or self._stall_s else 0.0
        self._stall_s = 0.0
        if wait_s:
            self._later(wait_s, self._worked)
        else:
            self._ack_next()

    def _worked(self) -> None:
        self._timer = None
        assert self._batch is not None
        self._batch.handled = time.perf_counter_ns() - self._batch.at
        self._ack_next()

    # Ack

    def _ack_next(self) -> None:
        batch = self._batch
        assert batch is not None
        if batch.place == len(batch.messages):
            self._batch = None
            self._pop()
            return
        if not self.link.is_open:
            return
        if self._load.ack == "message":
            self._ack_of = [batch.place]
            message, word = batch.messages[batch.place], _WORDS[batch.outcomes[batch.place]]
            group = f'"consumerGroup":"{self._name}",' if self._name else ""
            body = f'{{{group}"transactionId":"{message.transactionId}","partitionId":"{message.partitionId}",'
            body += f'"leaseId":"{message.leaseId}","status":"{word}"}}'
            path = "/api/v1/ack"
        else:
            self._ack_of = list(range(len(batch.messages)))
            body, path = self._batch_body(batch), "/api/v1/ack/batch"
        self._ack_sent = self.link.send(post(path, self.link.target, body.encode()))
        self._tally.counts.acks += 1

    def _batch_body(self, batch: Batch) -> str:
        parts = []
        lease, partition, outcome, tail = batch.messages[0].leaseId, "", -1, ""
        for message, wanted in zip(batch.messages, batch.outcomes, strict=True):
            if message.partitionId != partition or wanted != outcome:
                partition, outcome = message.partitionId, wanted
                tail = f'","partitionId":"{partition}","leaseId":"{lease}","status":"{_WORDS[outcome]}"}}'
            parts.append('{"transactionId":"' + message.transactionId + tail)
        group = f'"consumerGroup":"{self._name}",' if self._name else ""
        return "{" + group + '"acknowledgments":[' + ",".join(parts) + "]}"

    def _on_acked(self, batch: Batch, status: int, body: bytes, now: int) -> None:
        places = self._ack_of
        if status == 200 and body.count(b'"success":true') == len(places):
            outcomes = [batch.outcomes[place] for place in places]
        else:
            outcomes = self._judge(batch, places, status, body)
        self._recorder.acked(now - batch.at - batch.handled)
        self._settle(batch, places, outcomes, now)
        self._advance(batch)

    def _judge(self, batch: Batch, places: list[int], status: int, body: bytes) -> list[int]:
        try:
            items = _ITEMS.decode(body) if status == 200 else []
        except msgspec.DecodeError:
            items = []
        if len(items) != len(places):
            self._tally.errors[f"ack http_{status}"] += 1
            return [ACK_UNKNOWN if status >= 500 else ACK_REFUSED] * len(places)
        self._tally.errors["ack refused"] += 1
        pairs = zip(items, places, strict=True)
        return [batch.outcomes[place] if item.success else ACK_REFUSED for item, place in pairs]

    def _settle(self, batch: Batch, places: list[int], outcomes: list[int], now: int) -> None:
        counts = self._tally.counts
        counts.acked += outcomes.count(ACKED)
        counts.ack_refused += outcomes.count(ACK_REFUSED)
        fields = [batch.fields[place] for place in places]
        if not all(fields):  # What is not of this run is no matter of the ledger's.
            outcomes = [outcome for outcome, field in zip(outcomes, fields, strict=True) if field]
            fields = [field for field in fields if field]
        self._recorder.settled(self._group, batch.lease, self._ack_sent, now, fields, outcomes)

    def _advance(self, batch: Batch) -> None:
        """On to what is not acked yet. What was given back took the rest of its partition with it."""
        last = self._ack_of[-1]
        batch.place = last + 1
        gone = batch.messages[last].partitionId if batch.outcomes[last] != ACKED else ""
        while gone and batch.place < len(batch.messages) and batch.messages[batch.place].partitionId == gone:
            self._settle(batch, [batch.place], [RETRY], time.perf_counter_ns())
            batch.place += 1
        self._ack_next()

    def _check_quiet(self) -> None:
        under_way = self.link.sent_ns or self._batch is not None
        if not self._is_on and not under_way and not self._is_quiet:
            self._is_quiet = True
            self._on_quiet()
