"""Which server is next, by a clock that stands still; and failover between servers in memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from queen.client import Client, NewMessage, RetryPolicy
from queen.client.servers import LEFT_OUT_S, Server, Servers
from queen.errors import InvalidRequest, Overloaded, ServerUnreachable
from tests.support.fake_queen import FakeQueen, cut, fake_queen, refuse

# Pauses of this length would be seen by the time limit of `run`.
SLOW = RetryPolicy(patience_ms=600_000, first_patience_ms=600_000, wait_ms=300_000, wait_ms_max=300_000)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def made(*names: str) -> tuple[Servers, Clock]:
    clock = Clock()
    return Servers([Server(name, name) for name in names], clock), clock


def taken(servers: Servers, count: int) -> str:
    return "".join(servers.take().url for _ in range(count))


def test_servers_take_turns() -> None:
    assert taken(made("a", "b", "c")[0], 7) == "abcabca"


def test_a_server_that_failed_is_left_out_for_a_while() -> None:
    servers, clock = made("a", "b", "c")
    servers.failed(servers.take())
    assert taken(servers, 4) == "bcbc"
    clock.now += LEFT_OUT_S
    assert set(taken(servers, 3)) == {"a", "b", "c"}


def test_when_all_failed_the_one_whose_time_ends_first_is_tried() -> None:
    servers, clock = made("a", "b")
    servers.failed(servers.take())
    clock.now += 1
    servers.failed(servers.take())
    assert not servers.elsewhere()
    assert taken(servers, 2) == "aa"
    servers.worked(servers.take())
    assert servers.elsewhere()


@pytest.fixture
def two() -> Iterator[list[FakeQueen]]:
    with ExitStack() as stack:
        yield [stack.enter_context(fake_queen()) for _ in range(2)]


def pushes(two: list[FakeQueen], count: int, retry: RetryPolicy = SLOW) -> list[int]:
    """Push one by one through a client of both; how many requests each server got."""

    async def main() -> None:
        async with Client([queen.url for queen in two], retry=retry) as client, asyncio.timeout(60):
            for number in range(count):
                await client.push([NewMessage("q", number)])

    asyncio.run(main())
    return [len(queen.of("push")) for queen in two]


def test_requests_go_round(two: list[FakeQueen]) -> None:
    assert pushes(two, 6) == [3, 3]


@pytest.mark.parametrize(
    "fault",
    [refuse(500), refuse(502), refuse(503, retry_after=300), cut(process=False)],
    ids=["failed", "gateway", "busy", "cut"],
)
def test_a_failure_is_repeated_elsewhere_at_once_and_the_server_left_out(two: list[FakeQueen], fault: object) -> None:
    two[0].faults["push"].append(fault)  # type: ignore[arg-type]
    assert pushes(two, 5) == [1, 5]
    assert two[1].payloads("q", "Default") == [0, 1, 2, 3, 4]


def test_a_limit_of_the_queue_is_no_failure_of_the_server(two: list[FakeQueen]) -> None:
    two[0].faults["push"].append(refuse(429, code="queue_full", retry_after=0.01))
    assert pushes(two, 3) == [2, 2]


def test_a_server_that_is_not_there_costs_no_call() -> None:
    with fake_queen() as queen, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"

        async def main() -> int:
            async with Client([dead, queen.url], retry=SLOW) as client, asyncio.timeout(60):
                for number in range(4):
                    await client.push([NewMessage("q", number)])
                return client.retries

        assert asyncio.run(main()) == 1
        assert queen.payloads("q", "Default") == [0, 1, 2, 3]


def test_when_all_fail_the_last_error_is_raised(two: list[FakeQueen]) -> None:
    two[0].faults["push"].append(refuse(500))
    two[1].faults["push"].append(refuse(503, "busy", retry_after=300))
    with pytest.raises(Overloaded, match="busy"):
        pushes(two, 1, RetryPolicy(patience_ms=1_000))


def test_a_waiting_pop_moves_to_another_server_when_its_own_dies(two: list[FakeQueen]) -> None:
    two[0].faults["pop"].append(cut(process=True))
    two[0].put("q", "a", "lost on the way")
    two[1].put("q", "a", "from the other")

    async def main() -> list[object]:
        async with Client([queen.url for queen in two], retry=SLOW) as client, asyncio.timeout(60):
            batch = await client.pop("q", wait=True)
            return [message.payload() for message in batch.messages]

    assert asyncio.run(main()) == ["from the other"]


def test_a_client_without_a_server_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        Client([])


def test_errors_name_the_server_without_credentials() -> None:
    client = Client(["http://u:secret@127.0.0.1:1", "http://127.0.0.1:2/"])
    assert client.url == "http://127.0.0.1:1, http://127.0.0.1:2"
    with pytest.raises(ServerUnreachable):
        asyncio.run(client.health())
