"""Queen's own Python client against a real server: what a server in memory cannot tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from queen.client import Ack, Client, Message, NewMessage, SyncClient
from queen.errors import NotFound, TransactionRefused
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

_Result = TypeVar("_Result")

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
