"""Queen's own Python client against a real server: what a server in memory cannot tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import pytest

from queen.client import Ack, Client, Message, NewMessage, SyncClient
from queen.errors import NotFound, TransactionRefused
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

_Result = TypeVar("_Result")

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.pg


def run(server: EmbeddedServer, work: Callable[[Client], Awaitable[_Result]]) -> _Result:
    async def main() -> _Result:
        async with Client(server.url) as client, asyncio.timeout(120):
            return await work(client)

    return asyncio.run(main())


def test_acks_and_pushes_of_a_transaction_are_kept_together(server: EmbeddedServer, queue: str) -> None:
    async def work(client: Client) -> None:
        await client.push([NewMessage(queue, 1)])
        batch = await client.pop(queue, group="g")
        follow = NewMessage(f"{queue}.next", 2)
        done = await client.transaction(ack=[Ack(batch.messages[0])], push=[follow])
        assert (done.acked[0].success, done.pushed[0].status) == (True, "queued")
        with pytest.raises(TransactionRefused) as caught:
            await client.transaction(push=[NewMessage(f"{queue}.next", 3), follow])
        assert caught.value.reason == "duplicate"
        assert [one.payload() for one in (await client.pop(f"{queue}.next")).messages] == [2]

    run(server, work)


def test_queues_are_listed_described_and_deleted(server: EmbeddedServer, queue: str) -> None:
    async def work(client: Client) -> None:
        await client.configure(queue, {"leaseTime": 33}, namespace="n", task="t")
        await client.push([NewMessage(queue, n, partition="p/1") for n in range(3)])
        (listed,) = (await client.queues(search=queue)).items
        assert (listed.name, listed.namespace, listed.messages.total) == (queue, "n", 3)
        detail = await client.queue(queue)
        assert (detail.options["leaseTime"], detail.partitions[0].name, detail.totals.pending) == (33, "p/1", 3)
        assert await client.delete_queue(queue)
        assert not await client.delete_queue(queue)
        with pytest.raises(NotFound):
            await client.queue(queue)

    run(server, work)


def test_a_group_that_was_deleted_reads_again(server: EmbeddedServer, queue: str) -> None:
    async def work(client: Client) -> None:
        await client.push([NewMessage(queue, 1)])
        for _ in range(2):
            batch = await client.pop(queue, group=queue)
            assert [one.payload() for one in batch.messages] == [1]
            await client.ack(batch.messages)
            assert await client.delete_group(queue) == 1

    run(server, work)


def needs(server: EmbeddedServer, start: str, end: str) -> None:
    """Skip where the server does not have this route, whatever the names of its parameters."""
    paths = httpx.get(f"{server.url}/openapi.json", timeout=60).json()["paths"]
    if not any(path.startswith(start) and path.endswith(end) for path in paths):
        pytest.skip(f"this server has no {start} … {end}")


def test_a_group_is_listed_and_moved(server: EmbeddedServer, queue: str) -> None:
    needs(server, "/api/v1/consumer-groups/{", "/seek")

    async def work(client: Client) -> None:
        async def waiting() -> int:
            return len((await client.pop(queue, group="g", partitions=0)).messages)

        await client.push([NewMessage(queue, n, partition=name) for n in range(3) for name in ("a", "b/c")])
        await client.ack((await client.pop(queue, group="g", partitions=0)).messages)
        (listed,) = [one for one in (await client.groups()).items if one.queue_name == queue]
        assert (listed.name, listed.members, listed.total_lag) == ("g", 2, 0)
        assert await client.seek_group("g", queue, LONG_AGO) == 2
        assert await waiting() == 6
        assert await client.seek_group("g", queue, "end") == 2
        assert await waiting() == 0
        assert await client.seek_group("g", queue, LONG_AGO, partition="b/c") == 1
        assert await waiting() == 3
        for wrong in ({"queue": "nope"}, {"queue": queue, "partition": "nope"}):
            with pytest.raises(NotFound):
                await client.seek_group("g", to="end", **wrong)
        assert await client.delete_group("g", queue=queue) == 2

    run(server, work)


def test_dead_letters_are_replayed_in_place_or_elsewhere(server: EmbeddedServer, queue: str) -> None:
    needs(server, "/api/v1/dlq/{", "/replay")

    async def work(client: Client) -> None:
        await client.configure(queue, {"retryLimit": 0})
        await client.push([NewMessage(queue, n) for n in range(3)])
        for _ in range(3):
            await client.ack((await client.pop(queue, batch=1)).messages, "failed", error="x")
        page = await client.dead_letters(queue=queue, limit=2)
        assert (page.more, page.total) == (True, 3)
        assert (await client.replay(page.items[0])).result == "moved"
        assert [one.payload() for one in (await client.pop(queue)).messages] == [2]
        await client.replay(page.items[1].id, queue=f"{queue}.other", partition="p")
        assert [one.partition for one in (await client.pop(f"{queue}.other")).messages] == ["p"]
        for gone in (page.items[0], "nonsense"):
            with pytest.raises(NotFound):
                await client.replay(gone)

    run(server, work)


def test_what_fails_too_often_is_a_dead_letter(server: EmbeddedServer, queue: str) -> None:
    async def work(client: Client) -> None:
        await client.configure(queue, {"retryLimit": 1})
        await client.push([NewMessage(queue, n) for n in range(3)])
        seen: list[Any] = []
        stop = asyncio.Event()

        async def handle(message: Message) -> None:
            seen.append((message.payload(), message.delivery_attempt))
            if message.payload() == 1:
                raise ValueError("never")
            if message.payload() == 2:
                stop.set()

        done = await client.consume(queue, handle, stop=stop, group="g")
        assert [payload for payload, _ in seen] == [0, 1, 1, 2]
        assert (done.handled, done.failed, done.lost) == (2, 2, 0)
        (letter,) = (await client.dead_letters(queue=queue)).items
        assert (letter.payload(), letter.error_message, letter.consumer_group) == (1, "ValueError: never", "g")

    run(server, work)


def test_a_long_handler_keeps_its_lease(server: EmbeddedServer, queue: str) -> None:
    async def work(client: Client) -> None:
        await client.push([NewMessage(queue, 1)])
        stop = asyncio.Event()

        async def handle(message: Message) -> None:
            await asyncio.sleep(2.5)
            stop.set()

        done = await client.consume(queue, handle, stop=stop, lease_seconds=1)
        assert (done.handled, done.lost) == (1, 0)

    run(server, work)


def test_a_cancelled_consumer_leaves_neither_a_poll_nor_a_lease(server: EmbeddedServer, queue: str) -> None:
    async def work(client: Client) -> None:
        consuming = asyncio.create_task(client.consume(queue, lambda message: asyncio.sleep(0), concurrency=3))
        await asyncio.to_thread(wait_until, lambda: server.parked_polls() == 3, "the polls to be parked")
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)

    run(server, work)
    wait_until(lambda: server.parked_polls() == 0, "the polls to end")
    with SyncClient(server.url) as client:
        client.push([NewMessage(queue, 1)])
        assert len(client.pop(queue).messages) == 1


def test_a_producer_and_a_consumer_go_on_when_one_of_two_servers_dies(make_server: MakeServer, queue: str) -> None:
    first = make_server()
    first.start()
    second = make_server(beside=first)
    second.start()
    count = 600

    async def main() -> list[Any]:
        seen: list[Any] = []
        stop = asyncio.Event()

        async def handle(message: Message) -> None:
            seen.append(message.payload())
            if len(set(seen)) == count:
                stop.set()

        async with Client([first.url, second.url]) as client, asyncio.timeout(120):
            consuming = asyncio.create_task(
                client.consume(queue, handle, stop=stop, group="g", concurrency=4, lease_seconds=3)
            )
            async with client.producer(batch=10, linger_ms=1) as producer:
                for number in range(count):
                    await producer.put(NewMessage(queue, number, partition=str(number % 5)))
                    if number == count // 2:
                        second.kill()
            await consuming
        return seen

    seen = asyncio.run(main())
    assert set(seen) == set(range(count))
    for part in range(5):
        firsts = list(dict.fromkeys(number for number in seen if number % 5 == part))
        assert firsts == sorted(firsts)
