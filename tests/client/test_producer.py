"""The producer with a buffer, against a server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest

from queen.client import Client, NewMessage, Producer, RetryPolicy
from queen.errors import InvalidRequest, MessagesNotStored, Overloaded
from tests.support.fake_queen import FakeQueen, cut, fake_queen, refuse

_Result = TypeVar("_Result")
QUICK = RetryPolicy(patience_ms=60_000, first_patience_ms=60_000, wait_ms=1, wait_ms_max=5)
NO_RETRY = RetryPolicy(patience_ms=0, first_patience_ms=0)
LONG_MS = 600_000


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def run(
    queen: FakeQueen,
    work: Callable[[Producer], Awaitable[_Result]],
    retry: RetryPolicy = QUICK,
    **options: Any,
) -> _Result:
    async def main() -> _Result:
        async with Client(queen.url, retry=retry) as client, asyncio.timeout(60):
            return await work(client.producer(**options))

    return asyncio.run(main())


async def drained(producer: Producer) -> None:
    """Wait until the producer has done what it does by itself."""
    while producer.pending:  # noqa: ASYNC110 - there is no event of it: nobody but a test waits so
        await asyncio.sleep(0.01)


def messages(count: int, partition: str = "a") -> list[NewMessage]:
    return [NewMessage("q", number, partition=partition) for number in range(count)]


def test_messages_go_in_full_batches_and_in_order(queen: FakeQueen) -> None:
    async def work(producer: Producer) -> None:
        await producer.put_all(messages(25))
        await producer.close()
        assert (producer.produced.stored, producer.pending) == (25, 0)

    run(queen, work, batch=10, linger_ms=LONG_MS)
    assert [len(seen.body["items"]) for seen in queen.of("push")] == [10, 10, 5]
    assert queen.payloads("q", "a") == list(range(25))


def test_a_few_messages_go_when_their_time_is_up(queen: FakeQueen) -> None:
    async def work(producer: Producer) -> None:
        await producer.put(NewMessage("q", 1))
        await drained(producer)
        await producer.close()

    run(queen, work, linger_ms=5)
    assert queen.payloads("q", "Default") == [1]


def test_leaving_the_block_stores_the_rest(queen: FakeQueen) -> None:
    async def work(producer: Producer) -> None:
        async def leave_by_an_error() -> None:
            async with producer:
                await producer.put(NewMessage("q", 1))
                raise KeyError

        with pytest.raises(KeyError):
            await leave_by_an_error()

    run(queen, work, linger_ms=LONG_MS)
    assert queen.payloads("q", "Default") == [1]


def test_partitions_keep_their_order_over_several_lanes_and_faults(queen: FakeQueen) -> None:
    queen.faults["push"] += [cut(process=True), refuse(503, retry_after=0.01), cut(process=False), refuse(500)]

    async def work(producer: Producer) -> int:
        async with producer:
            for number in range(100):
                for name in "abcde":
                    await producer.put(NewMessage("q", number, partition=name))
        return producer.produced.stored

    assert run(queen, work, batch=7, linger_ms=0, concurrency=3) == 500
    for name in "abcde":
        assert queen.payloads("q", name) == list(range(100))


@pytest.mark.parametrize("bound", [{"buffer_max": 3}, {"buffer_bytes_max": 400}], ids=["messages", "bytes"])
def test_a_put_waits_while_the_buffer_is_full(queen: FakeQueen, bound: dict[str, Any]) -> None:
    queen.hold()

    async def work(producer: Producer) -> None:
        putting = asyncio.create_task(producer.put_all(messages(20)))
        await asyncio.to_thread(queen.reached.wait, 60)
        await asyncio.sleep(0.05)
        assert not putting.done()
        assert producer.pending <= 4
        await asyncio.to_thread(queen.release)
        await putting
        await producer.close()

    run(queen, work, linger_ms=0, concurrency=1, **bound)
    assert queen.payloads("q", "a") == list(range(20))


def test_a_message_larger_than_the_buffer_is_taken_alone(queen: FakeQueen) -> None:
    async def work(producer: Producer) -> None:
        async with producer:
            await producer.put_all([NewMessage("q", "x" * 1000) for _ in range(3)])

    run(queen, work, buffer_bytes_max=10)
    assert len(queen.payloads("q", "Default")) == 3


def test_a_put_that_is_cancelled_takes_nothing(queen: FakeQueen) -> None:
    queen.hold()

    async def work(producer: Producer) -> None:
        await producer.put(NewMessage("q", "first"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await producer.put(NewMessage("q", "second"))
        await asyncio.to_thread(queen.release)
        await producer.close()

    run(queen, work, buffer_max=1)
    assert queen.payloads("q", "Default") == ["first"]


def test_what_was_not_stored_comes_back_in_order_and_may_be_put_again(queen: FakeQueen) -> None:
    queen.faults["push"].append(refuse(503, "busy", retry_after=300))
    new = messages(5)

    async def work(producer: Producer) -> None:
        await producer.put_all(new)
        with pytest.raises(MessagesNotStored, match="5 messages were not stored; the first: busy") as caught:
            await producer.flush()
        unstored = caught.value.unstored
        assert [one.message for one in unstored] == new
        assert [one.unknown for one in unstored] == [True, True, False, False, False]
        assert isinstance(caught.value.__cause__, Overloaded)
        await producer.put_all(one.message for one in unstored)
        await producer.close()

    run(queen, work, NO_RETRY, batch=2, linger_ms=LONG_MS, concurrency=1)
    assert queen.payloads("q", "a") == [0, 1, 2, 3, 4]


def test_a_put_after_a_failure_is_told_and_takes_nothing(queen: FakeQueen) -> None:
    queen.faults["push"].append(refuse(400, "no"))

    async def work(producer: Producer) -> None:
        await producer.put(NewMessage("q", 1))
        await drained(producer)
        with pytest.raises(MessagesNotStored):
            await producer.put(NewMessage("q", 2))
        await producer.put(NewMessage("q", 3))
        await producer.close()

    run(queen, work, linger_ms=0)
    assert queen.payloads("q", "Default") == [3]


def test_single_messages_that_failed_are_told(queen: FakeQueen) -> None:
    queen.fail_item = lambda item: "too odd" if item["payload"] % 2 else None

    async def work(producer: Producer) -> list[Any]:
        await producer.put_all(messages(4))
        with pytest.raises(MessagesNotStored, match="too odd") as caught:
            await producer.close()
        return [(one.message.payload, one.unknown) for one in caught.value.unstored]

    assert run(queen, work) == [(1, False), (3, False)]


def test_a_payload_that_is_no_json_is_refused_before_it_is_taken(queen: FakeQueen) -> None:
    async def work(producer: Producer) -> None:
        with pytest.raises(InvalidRequest, match="JSON"):
            await producer.put(NewMessage("q", object()))
        await producer.close()

    run(queen, work)
    assert queen.seen == []


def test_a_closed_producer_takes_nothing(queen: FakeQueen) -> None:
    async def work(producer: Producer) -> None:
        await producer.close()
        await producer.close()
        with pytest.raises(InvalidRequest, match="closed"):
            await producer.put(NewMessage("q", 1))

    run(queen, work)


def test_a_close_that_is_cancelled_ends_at_once_and_tells_the_log(
    queen: FakeQueen, caplog: pytest.LogCaptureFixture
) -> None:
    queen.hold()

    async def work(producer: Producer) -> None:
        await producer.put(NewMessage("q", 1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await producer.close()

    run(queen, work)
    queen.release()
    assert "producer_closed unstored=1" in caplog.text


@pytest.mark.parametrize("options", [{"batch": 0}, {"buffer_max": 0}, {"concurrency": 0}, {"linger_ms": -1}])
def test_options_out_of_range_are_refused(queen: FakeQueen, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        run(queen, lambda producer: producer.close(), **options)
