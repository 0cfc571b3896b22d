"""The parts behind produce and consume, without processes and servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from typing import cast

import pytest
from msgspec import Raw

from queen.cli.traffic.budget import Budget
from queen.cli.traffic.generated import Recipe, generated, payloads
from queen.cli.traffic.inbox import BATCH_BYTES_MAX, Inbox
from queen.cli.traffic.lines import read_lines
from queen.cli.traffic.pacer import Pacer
from queen.cli.traffic.producer import Pace, Producer
from queen.cli.traffic.source import Chunk
from queen.cli.traffic.spread import SizeRange
from queen.cli.traffic.stop import Stop, signals
from queen.cli.traffic.tally import Tally
from queen.client import Client, NewMessage, Pushed
from queen.errors import InvalidRequest
from queen.measure.histogram import LatencyHistogram


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def allowed_now(pacer: Pacer, most: int) -> int:
    """What is allowed without waiting; 0 when the pacer would sleep."""

    async def ask() -> int:
        task = asyncio.ensure_future(pacer.allow(most))
        await asyncio.sleep(0)
        if task.done():
            return task.result()
        task.cancel()
        return 0

    return asyncio.run(ask())


def test_the_pacer_follows_its_schedule() -> None:
    clock = Clock()
    pacer = Pacer(100, clock)
    assert allowed_now(pacer, 1000) == 1
    assert allowed_now(pacer, 1000) == 0
    clock.now += 0.105
    assert allowed_now(pacer, 4) == 4
    assert allowed_now(pacer, 1000) == 6
    assert allowed_now(pacer, 1000) == 0


def test_the_pacer_catches_up_one_second_at_most() -> None:
    clock = Clock()
    pacer = Pacer(100, clock)
    clock.now += 3600
    assert allowed_now(pacer, 10_000) == 100
    clock.now += 0.105
    assert allowed_now(pacer, 10_000) == 10


def test_slow_rates_let_single_messages_through() -> None:
    clock = Clock()
    pacer = Pacer(0.5, clock)
    assert allowed_now(pacer, 10) == 1
    clock.now += 1.9
    assert allowed_now(pacer, 10) == 0
    clock.now += 0.2
    assert allowed_now(pacer, 10) == 1


def test_without_a_rate_everything_may_go() -> None:
    assert allowed_now(Pacer(None), 500) == 500


@pytest.mark.parametrize("size", [24, 64, 256, 5_000, 100_000])
def test_generated_payloads_have_their_size_and_differ(size: int) -> None:
    made = [payloads(SizeRange(size, size))(number) for number in (0, 1, 999_999)]
    assert {len(text) for text in made} == {size}
    assert [json.loads(text)["n"] for text in made] == [0, 1, 999_999]
    assert len({json.loads(text)["pad"] for text in made}) == 3


def test_a_payload_smaller_than_its_number_is_as_small_as_can_be() -> None:
    assert payloads(SizeRange(1, 1))(12) == b'{"n":12,"pad":""}'


@pytest.mark.parametrize("size", [1, 256, 100_000, 5_000_000])
def test_little_is_generated_ahead_of_need(size: int) -> None:
    async def numbers_and_bytes() -> tuple[list[int], int]:
        chunks = [chunk async for _, chunk in _first(generated(Recipe("q", 3, SizeRange(size, size))), 3)]
        made = [bytes(entry[0].payload) for chunk in chunks for _, entry in chunk]
        return [json.loads(text)["n"] for text in made], max(sum(e[1] for _, e in chunk) for chunk in chunks)

    order, bytes_ahead = asyncio.run(numbers_and_bytes())
    assert order == list(range(len(order)))
    assert bytes_ahead <= max(1_100_000, size + 1_000)


async def _first(source: AsyncIterator[Chunk], most: int) -> AsyncIterator[tuple[int, Chunk]]:
    for index in range(most):
        yield index, await anext(source)


def message(number: int) -> NewMessage:
    return NewMessage("q", Raw(b"%d" % number))


def numbers(batch: Sequence[NewMessage]) -> list[int]:
    return [int(bytes(item.payload)) for item in batch]


def test_an_inbox_cuts_batches_by_count_and_bytes() -> None:
    async def main() -> list[list[int]]:
        inbox = Inbox(batch=3, linger_s=0)
        for number, size in enumerate([1, 1, 1, 1, BATCH_BYTES_MAX, 1]):
            await inbox.put((message(number), size))
        inbox.close()
        batches = []
        while batch := await inbox.take():
            batches.append(numbers(batch))
        return batches

    assert asyncio.run(main()) == [[0, 1, 2], [3], [4], [5]]


def test_a_full_inbox_holds_up_its_source_until_a_batch_leaves() -> None:
    async def main() -> None:
        inbox = Inbox(batch=2, linger_s=0)
        for number in range(4):
            await inbox.put((message(number), 1))
        fifth = asyncio.ensure_future(inbox.put((message(4), 1)))
        await asyncio.sleep(0)
        assert not fifth.done()
        assert numbers(await inbox.take()) == [0, 1]
        await asyncio.wait_for(fifth, 60)

    asyncio.run(main())


def test_a_lingering_batch_leaves_as_soon_as_it_is_full() -> None:
    async def main() -> list[int]:
        inbox = Inbox(batch=2, linger_s=3600)
        await inbox.put((message(0), 1))
        batch = asyncio.ensure_future(inbox.take())
        await asyncio.sleep(0)
        await inbox.put((message(1), 1))
        return numbers(await asyncio.wait_for(batch, 60))

    assert asyncio.run(main()) == [0, 1]


class StuckClient:
    """Never answers."""

    def __init__(self) -> None:
        self.pushed = asyncio.Event()

    async def push(self, batch: Sequence[NewMessage]) -> list[Pushed]:
        self.pushed.set()
        await asyncio.Event().wait()
        raise AssertionError


def test_a_server_that_does_not_answer_holds_up_the_source() -> None:
    drawn = 0

    async def endless() -> AsyncIterator[Chunk]:
        nonlocal drawn
        while True:
            drawn += 10
            yield [(0, (message(0), 10))] * 10

    async def main() -> None:
        client, stop = StuckClient(), Stop()
        producer = Producer(cast(Client, client), Pace(batch=10, concurrency=2), Tally("push"), stop)
        run = asyncio.create_task(producer.run(endless()))
        await asyncio.wait_for(client.pushed.wait(), 60)
        for _ in range(1000):
            await asyncio.sleep(0)
        run.cancel()
        await asyncio.wait({run}, timeout=60)
        assert run.cancelled()

    asyncio.run(main())
    # One batch in flight, two in line, and the chunk in hand.
    assert 30 <= drawn <= 50


def read(data: bytes, bytes_max: int = 1000) -> list[bytes]:
    """The lines that come out of a pipe."""

    async def collect(descriptor: int) -> list[bytes]:
        return [line async for lines in read_lines(descriptor, "pipe", bytes_max) for line in lines]

    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    try:
        return asyncio.run(collect(reading))
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb\n\nc", [b"a", b"b", b"", b"c"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"\n", [b""]),
    ],
)
def test_lines_are_split_at_their_ends(data: bytes, lines: list[bytes]) -> None:
    assert read(data) == lines


def test_a_line_without_end_is_refused_at_the_bound() -> None:
    assert read(b"a\n" + b"x" * 1000) == [b"a", b"x" * 1000]
    with pytest.raises(InvalidRequest, match="pipe, line 2: longer than 1000 bytes"):
        read(b"a\n" + b"x" * 1001)


def test_a_budget_is_never_exceeded_and_unused_parts_come_back() -> None:
    async def main() -> None:
        budget = Budget(10)
        assert await budget.reserve(8) == 8
        assert await budget.reserve(8) == 2
        waiting = asyncio.ensure_future(budget.reserve(8))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.settle(8, 5)
        assert await asyncio.wait_for(waiting, 60) == 3
        budget.settle(2, 2)
        budget.settle(3, 3)
        assert await budget.reserve(8) == 0

    asyncio.run(main())


def test_a_signal_cuts_short_a_run_that_was_ending_for_another_reason() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    async def main() -> Stop:
        stop = Stop()
        with signals(stop):
            stop.request("duration")
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(asyncio.Event().wait(), 60)
        return stop

    try:
        stop = asyncio.run(main())
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert (stop.reason, stop.exit_code) == ("duration", 143)


def test_the_histogram_merges_and_keeps_to_its_range() -> None:
    one, two = LatencyHistogram(), LatencyHistogram()
    assert one.percentile_ms(50) is None
    for latency_ms in range(1, 101):
        (one if latency_ms % 2 else two).record_us(latency_ms * 1000)
    one.add(two)
    assert one.count == 100
    assert one.percentile_ms(50) == pytest.approx(50, rel=0.01)
    assert one.percentile_ms(99) == pytest.approx(99, rel=0.01)
    one.record_us(0)
    one.record_us(10**12)
    assert one.count == 102
    assert one.max_ms() == pytest.approx(3_600_000, rel=0.01)
