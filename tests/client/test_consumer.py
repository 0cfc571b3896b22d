"""The loop that consumes, against a server in memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest

from queen.client import Client, Consumed, Message, RetryPolicy
from queen.errors import AccessDenied, InvalidRequest, ServerUnreachable
from tests.support.fake_queen import FakeQueen, Fault, cut, fake_queen, refuse

_Result = TypeVar("_Result")
QUICK = RetryPolicy(patience_ms=60_000, first_patience_ms=60_000, wait_ms=1, wait_ms_max=5)


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


class Run:
    """One client with a `stop`, for at most a minute."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.stop = asyncio.Event()
        self.seen: list[Any] = []

    async def until(self, count: int, **options: Any) -> Consumed:
        """Consume queue q until `count` messages were seen."""

        async def handle(message: Message) -> None:
            self.seen.append(message.payload())
            if len(self.seen) >= count:
                self.stop.set()

        return await self.client.consume("q", handle, stop=self.stop, **options)


def run(queen: FakeQueen, work: Callable[[Run], Awaitable[_Result]], retry: RetryPolicy = QUICK) -> _Result:
    async def main() -> _Result:
        async with Client(queen.url, retry=retry) as client, asyncio.timeout(60):
            return await work(Run(client))

    return asyncio.run(main())


def test_every_message_is_handled_in_order_and_acked(queen: FakeQueen) -> None:
    queen.put("q", "a", *range(10))

    async def work(this: Run) -> None:
        done = await this.until(10, group="g", batch=3)
        assert this.seen == list(range(10))
        assert done == Consumed(handled=10)

    run(queen, work)
    assert queen.cursors["q", "a", "g"] == 10
    assert queen.leases == {}


def test_it_waits_for_what_comes_later(queen: FakeQueen) -> None:
    async def work(this: Run) -> None:
        consuming = asyncio.create_task(this.until(1))
        await asyncio.to_thread(queen.reached.wait, 60)
        await asyncio.to_thread(queen.put, "q", "a", "late")
        await consuming
        assert this.seen == ["late"]

    run(queen, work)
    assert queen.of("pop")[0].query["wait"] == "true"
    assert queen.of("pop")[0].query["leaseSeconds"] == "60"


@pytest.mark.parametrize("on_error", ["failed", "retry", "dlq"])
def test_a_handler_that_raises_settles_its_message_and_what_is_behind_comes_after_it(
    queen: FakeQueen, on_error: Any
) -> None:
    queen.put("q", "a", *range(4))
    seen: list[Any] = []

    async def work(this: Run) -> Consumed:
        async def handle(message: Message) -> None:
            seen.append(message.payload())
            if message.payload() == 1 and seen.count(1) == 1:
                raise ValueError("not now")
            if message.payload() == 3:
                this.stop.set()

        return await this.client.consume("q", handle, stop=this.stop, on_error=on_error)

    done = run(queen, work)
    assert seen == [0, 1, 1, 2, 3]
    assert (done.handled, done.failed) == (4, 1)
    (told,) = [ack for ack in queen.acks if ack["status"] != "completed"]
    assert (told["status"], told["error"]) == (on_error, "ValueError: not now")


def test_a_failure_holds_up_its_own_partition_only(queen: FakeQueen) -> None:
    queen.put("q", "a", "a0", "a1")
    queen.put("q", "b", "b0", "b1")
    seen: list[Any] = []

    async def work(this: Run) -> None:
        async def handle(message: Message) -> None:
            seen.append(message.payload())
            if seen == ["a0"]:
                raise ValueError
            if message.payload() == "a1":
                this.stop.set()

        await this.client.consume("q", handle, stop=this.stop)

    run(queen, work)
    assert seen == ["a0", "b0", "b1", "a0", "a1"]


def test_workers_handle_partitions_at_the_same_time(queen: FakeQueen) -> None:
    for name in "abc":
        queen.put("q", name, name)
    all_there = asyncio.Barrier(3)

    async def work(this: Run) -> None:
        async def handle(message: Message) -> None:
            await all_there.wait()
            this.stop.set()

        await this.client.consume("q", handle, stop=this.stop, concurrency=3, batch=1)

    run(queen, work)
    assert len(queen.acks) == 3


def test_a_lease_is_extended_while_a_handler_runs(queen: FakeQueen) -> None:
    queen.put("q", "a", 1)

    async def work(this: Run) -> None:
        async def handle(message: Message) -> None:
            while len(queen.of("lease")) < 2:  # noqa: ASYNC110 - the server is another thread
                await asyncio.sleep(0.02)
            this.stop.set()

        await this.client.consume("q", handle, stop=this.stop, lease_seconds=1)

    run(queen, work)
    assert queen.of("lease")[0].body == {"seconds": 1}
    assert queen.cursors["q", "a", "__QUEUE_MODE__"] == 1


def _extending() -> bool:
    """Is there a task that extends a lease? It ends when it has learnt that the lease is lost."""
    return any(getattr(task.get_coro(), "__name__", "") == "_extend" for task in asyncio.all_tasks())


def test_after_a_lost_lease_nothing_more_of_the_batch_is_handled(queen: FakeQueen) -> None:
    queen.put("q", "a", *range(3))
    seen: list[Any] = []

    async def work(this: Run) -> Consumed:
        async def handle(message: Message) -> None:
            seen.append(message.payload())
            if len(seen) == 1:
                queen.leases.clear()
                while _extending():  # noqa: ASYNC110 - another task sets nothing that could be awaited
                    await asyncio.sleep(0.02)
            if message.payload() == 2:
                this.stop.set()

        return await this.client.consume("q", handle, stop=this.stop, lease_seconds=1)

    done = run(queen, work)
    assert seen == [0, 0, 1, 2]
    assert done.lost == 1


def test_when_stopped_the_running_handler_ends_and_the_rest_is_given_back(queen: FakeQueen) -> None:
    queen.put("q", "a", *range(5))
    done = run(queen, lambda this: this.until(2))
    assert done == Consumed(handled=2, returned=3)
    assert queen.cursors["q", "a", "__QUEUE_MODE__"] == 2
    assert queen.leases == {}


def test_a_stop_ends_a_waiting_pop(queen: FakeQueen) -> None:
    async def work(this: Run) -> Consumed:
        consuming = asyncio.create_task(this.until(1))
        await asyncio.to_thread(queen.reached.wait, 60)
        this.stop.set()
        return await consuming

    assert run(queen, work) == Consumed()


def test_when_cancelled_handlers_are_cancelled_and_what_was_done_is_acked(queen: FakeQueen) -> None:
    queen.put("q", "a", *range(3))
    ended: list[str] = []

    async def work(this: Run) -> None:
        at_second = asyncio.Event()

        async def handle(message: Message) -> None:
            if message.payload() == 1:
                at_second.set()
                try:
                    await asyncio.sleep(60)
                finally:
                    ended.append("cancelled")

        consuming = asyncio.create_task(this.client.consume("q", handle))
        await at_second.wait()
        consuming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consuming

    run(queen, work)
    assert ended == ["cancelled"]
    assert queen.cursors["q", "a", "__QUEUE_MODE__"] == 1
    assert queen.leases == {}


def test_an_outage_passes(queen: FakeQueen) -> None:
    queen.put("q", "a", *range(4))

    async def work(this: Run) -> Consumed:
        await this.client.health()
        queen.faults["pop"] += [refuse(503, retry_after=0.01), cut(process=False), refuse(500)]
        return await this.until(4, batch=2)

    # One try a call, so that every fault reaches the loop.
    assert run(queen, work, RetryPolicy(patience_ms=0)) == Consumed(handled=4)


def test_an_ack_that_cannot_be_sent_is_counted_and_the_loop_goes_on(queen: FakeQueen) -> None:
    queen.put("q", "a", 1)

    async def work(this: Run) -> Consumed:
        queen.faults["ack"].append(refuse(500))
        consuming = asyncio.create_task(this.until(2))
        while not queen.of("ack"):  # noqa: ASYNC110 - the server is another thread
            await asyncio.sleep(0.02)
        queen.leases.clear()  # It ran out.
        await asyncio.to_thread(queen.put, "q", "a")
        return await consuming

    assert run(queen, work, RetryPolicy(patience_ms=0)) == Consumed(handled=2, lost=1)


def test_what_cannot_pass_is_raised(queen: FakeQueen) -> None:
    queen.faults["pop"].append(refuse(401))
    with pytest.raises(AccessDenied):
        run(queen, lambda this: this.until(1, concurrency=2))


def test_a_server_that_was_never_there_is_told() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"

        async def main() -> None:
            async with Client(url, retry=RetryPolicy(first_patience_ms=0)) as client:
                await client.consume("q", lambda message: asyncio.sleep(0))

        with pytest.raises(ServerUnreachable):
            asyncio.run(main())


def test_answers_that_do_not_wait_are_no_storm(queen: FakeQueen) -> None:
    queen.faults["pop"] += [Fault(status=204, body=b"")] * 50

    async def work(this: Run) -> None:
        consuming = asyncio.create_task(this.until(1))
        await asyncio.sleep(0.5)
        this.stop.set()
        await consuming

    run(queen, work)
    assert len(queen.of("pop")) == 1


@pytest.mark.parametrize(
    "options", [{"concurrency": 0}, {"batch": 0}, {"lease_seconds": 0}, {"partitions": -1}, {"wait_ms": 0}]
)
def test_options_out_of_range_are_refused(queen: FakeQueen, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        run(queen, lambda this: this.until(1, **options))
