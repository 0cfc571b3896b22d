"""The client for threads, against a server in memory; and what `import queen.client` brings along."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from queen.client import Client, Message, NewMessage, Producer, RetryPolicy, SyncClient, SyncProducer
from queen.errors import AccessDenied, InvalidRequest, MessagesNotStored
from tests.support.fake_queen import FakeQueen, fake_queen, refuse

QUICK = RetryPolicy(patience_ms=60_000, first_patience_ms=60_000, wait_ms=1, wait_ms_max=5)


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


@pytest.fixture
def client(queen: FakeQueen) -> Iterator[SyncClient]:
    with SyncClient(queen.url, retry=QUICK) as made:
        yield made


def client_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "queen-client"]


def test_a_message_travels_from_push_to_ack(client: SyncClient) -> None:
    assert [one.status for one in client.push([NewMessage("q", n) for n in range(3)])] == ["queued"] * 3
    batch = client.pop("q", batch=2)
    assert [message.payload() for message in batch.messages] == [0, 1]
    assert all(one.success for one in client.ack(batch.messages))
    assert [message.payload() for message in client.pop("q").messages] == [2]


@pytest.mark.parametrize(("sync", "other"), [(SyncClient, Client), (SyncProducer, Producer)])
def test_it_has_every_public_method_of_the_async_one(sync: type, other: type) -> None:
    left_out = {"retry", "retries", "reached", "push_encoded"}
    public = {name for name, _ in inspect.getmembers(other) if not name.startswith("_")}
    assert public - left_out - set(dir(sync)) == set()
    for name in public & set(dir(sync)):
        assert getattr(sync, name).__doc__, name


def test_errors_are_those_of_the_async_client(queen: FakeQueen, client: SyncClient) -> None:
    queen.faults["push"].append(refuse(401))
    with pytest.raises(AccessDenied):
        client.push([NewMessage("q", 1)])


def test_many_threads_share_one(queen: FakeQueen, client: SyncClient) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: client.push([NewMessage("q", n)]), range(100)))
    assert sorted(queen.payloads("q", "Default")) == list(range(100))
    assert len(client_threads()) == 1


def test_closing_ends_the_thread_and_refuses_later_calls(queen: FakeQueen) -> None:
    client = SyncClient(queen.url)
    client.push([NewMessage("q", 1)])
    client.close()
    client.close()
    assert client_threads() == []
    with pytest.raises(InvalidRequest, match="closed"):
        client.push([NewMessage("q", 2)])


def test_a_client_that_was_never_used_has_no_thread(queen: FakeQueen) -> None:
    with SyncClient(queen.url):
        assert client_threads() == []


def test_closing_ends_calls_that_wait(queen: FakeQueen, client: SyncClient) -> None:
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.pop, "q", wait=True, wait_ms=60_000)
        assert queen.reached.wait(60)
        client.close()
        with pytest.raises(InvalidRequest, match="closed"):
            waiting.result(60)


def test_it_consumes_until_a_handler_says_stop(queen: FakeQueen, client: SyncClient) -> None:
    queen.put("q", "a", *range(5))
    seen = []

    def handle(message: Message) -> None:
        seen.append(message.payload())
        client.push([NewMessage("copies", message.payload())])
        if len(seen) == 5:
            client.stop()

    assert client.consume("q", handle, batch=2).handled == 5
    assert seen == queen.payloads("copies", "Default") == [0, 1, 2, 3, 4]


def test_handlers_run_side_by_side(queen: FakeQueen, client: SyncClient) -> None:
    for name in "abc":
        queen.put("q", name, name)
    all_there = threading.Barrier(3)

    def handle(message: Message) -> None:
        all_there.wait(60)
        client.stop()

    client.consume("q", handle, concurrency=3, batch=1)
    assert len(queen.acks) == 3


@pytest.fixture
def interruptible() -> Iterator[None]:
    """An interrupt raises, also where the tests run in a process that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_consuming_in_an_orderly_way(queen: FakeQueen, client: SyncClient) -> None:
    queen.put("q", "a", *range(3))
    ended = []

    def handle(message: Message) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        threading.Event().wait(0.2)
        ended.append(message.payload())

    with pytest.raises(KeyboardInterrupt):
        client.consume("q", handle)
    assert ended == [0]
    assert queen.cursors["q", "a", "__QUEUE_MODE__"] == 1
    assert queen.leases == {}


def test_a_producer_stores_the_rest_when_it_is_left(queen: FakeQueen, client: SyncClient) -> None:
    with client.producer(linger_ms=600_000) as producer:
        for number in range(5):
            producer.put(NewMessage("q", number))
    assert producer.produced.stored == 5
    assert queen.payloads("q", "Default") == [0, 1, 2, 3, 4]


def test_a_producer_tells_what_was_not_stored(queen: FakeQueen, client: SyncClient) -> None:
    queen.faults["push"].append(refuse(400))
    producer = client.producer()
    producer.put(NewMessage("q", 1))
    with pytest.raises(MessagesNotStored):
        producer.close()


def test_a_child_of_a_fork_has_connections_of_its_own(queen: FakeQueen, client: SyncClient) -> None:
    client.push([NewMessage("q", "parent before")])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            client.push([NewMessage("q", "child")])
            client.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    client.push([NewMessage("q", "parent after")])
    assert queen.payloads("q", "Default") == ["parent before", "child", "parent after"]


def test_importing_the_client_brings_no_server_and_no_database() -> None:
    script = "import sys, queen.client; print(*{name.split('.')[0] for name in sys.modules}, *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"fastapi", "starlette", "uvicorn", "psycopg", "psycopg_pool", "pydantic", "typer", "yaml", "numpy"}
    ours = {f"queen.{part}" for part in ("server", "store", "engine", "runtime", "embedded", "settings", "sql", "cli")}
    assert loaded & (heavy | ours) == set()
