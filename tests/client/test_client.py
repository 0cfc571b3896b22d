"""The client against a server in memory: verbs, values kept byte for byte, and what happens when things break."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from msgspec import Raw

from queen.client import Client, NewMessage, RetryPolicy
from queen.errors import (
    AccessDenied,
    BodyTooLarge,
    InvalidRequest,
    NotFound,
    Overloaded,
    QueenError,
    ServerFailed,
    ServerUnreachable,
    ShuttingDown,
    StoreUnavailable,
)
from tests.support.fake_queen import FakeQueen, Fault, cut, fake_queen, refuse

_Result = TypeVar("_Result")
QUICK = RetryPolicy(patience_ms=60_000, first_patience_ms=60_000, wait_ms=1, wait_ms_max=5)
NO_RETRY = RetryPolicy(patience_ms=0, first_patience_ms=0)


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def run(url: str, work: Callable[[Client], Awaitable[_Result]], retry: RetryPolicy = QUICK, **options: Any) -> _Result:
    async def main() -> _Result:
        async with Client(url, retry=retry, **options) as client:
            return await work(client)

    return asyncio.run(main())


def test_a_message_travels_from_push_to_ack(queen: FakeQueen) -> None:
    async def work(client: Client) -> None:
        pushed = await client.push([NewMessage("q", {"n": n}, partition="a") for n in range(3)])
        assert [result.status for result in pushed] == ["queued"] * 3
        batch = await client.pop("q", group="g", batch=2)
        assert [message.payload() for message in batch.messages] == [{"n": 0}, {"n": 1}]
        acked = await client.ack(batch.messages)
        assert [result.success for result in acked] == [True, True]
        rest = await client.pop("q", group="g")
        assert [message.payload() for message in rest.messages] == [{"n": 2}]

    run(queen.url, work)
    assert queen.cursors["q", "a", "g"] == 2
    assert queen.of("ack")[0].body["consumerGroup"] == "g"


def test_queue_mode_names_no_group(queen: FakeQueen) -> None:
    queen.put("q", "a", 1)

    async def work(client: Client) -> bool:
        batch = await client.pop("q")
        return (await client.ack(batch.messages))[0].success

    assert run(queen.url, work)
    assert "consumerGroup" not in queen.of("pop")[0].query
    assert "consumerGroup" not in queen.of("ack")[0].body


def test_an_empty_pop_is_an_empty_batch(queen: FakeQueen) -> None:
    assert run(queen.url, lambda client: client.pop("q")).messages == []


def test_a_waiting_pop_gets_what_comes_later(queen: FakeQueen) -> None:
    async def work(client: Client) -> list[Any]:
        waiting = asyncio.create_task(client.pop("q", wait=True, wait_ms=60_000))
        await asyncio.to_thread(queen.reached.wait, 60)
        await client.push([NewMessage("q", "late")])
        return [message.payload() for message in (await waiting).messages]

    assert run(queen.url, work) == ["late"]
    assert queen.of("pop")[0].query["timeout"] == "60000"


def test_a_raw_payload_keeps_its_bytes() -> None:
    from queen.client.messages import decode_pop, encode_push

    text = b'{"z":1.10, "a":123456789012345678901234567890,"e":1E5}'
    assert text in encode_push([NewMessage("q", Raw(text))])
    answer = (
        b'{"leaseId":"l","messages":[{"id":"i","transactionId":"t","partitionId":"p","data":' + text + b',"new":1}]}'
    )
    batch = decode_pop(answer)
    assert bytes(batch.messages[0].data) == text
    assert batch.envelopes[0].endswith(text + b',"new":1}')


@pytest.mark.parametrize("name", ["a/b", "a b", "ü%", "..", ".", "a?b#c", "日本"])
def test_names_survive_the_path(queen: FakeQueen, name: str) -> None:
    queen.put(name, name, 1)
    batch = run(queen.url, lambda client: client.pop(name, partition=name))
    assert [(message.queue, message.partition) for message in batch.messages] == [(name, name)]


def test_the_other_calls_reach_their_routes(queen: FakeQueen) -> None:
    async def work(client: Client) -> list[Any]:
        return [
            await client.extend("l/1", 90),
            await client.configure("q", {"leaseTime": 5}),
            await client.get("/health", {"deep": "1"}),
            await client.delete("/api/v1/resources/queues/q"),
        ]

    extend, configure, get, delete = run(queen.url, work)
    assert (extend["path"], extend["body"]) == ("/api/v1/lease/l%2F1/extend", {"seconds": 90})
    assert (configure["path"], configure["body"]) == ("/api/v1/configure", {"queue": "q", "options": {"leaseTime": 5}})
    assert (get["method"], get["path"], get["query"]) == ("GET", "/health", {"deep": "1"})
    assert (delete["method"], delete["path"]) == ("DELETE", "/api/v1/resources/queues/q")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refuse(503, retry_after=0.01), id="overloaded"),
        pytest.param(refuse(500), id="failed"),
        pytest.param(refuse(502), id="gateway"),
        pytest.param(refuse(429, retry_after=0.01), id="limited"),
        pytest.param(cut(process=False), id="cut before"),
        pytest.param(Fault(status=500, process=True), id="failed after storing"),
    ],
)
def test_passing_trouble_is_repeated_until_it_passes(queen: FakeQueen, fault: Fault) -> None:
    queen.faults["push"] += [fault, fault]

    async def work(client: Client) -> tuple[str, int]:
        return (await client.push([NewMessage("q", 1)]))[0].status, client.retries

    status, retries = run(queen.url, work)
    assert status == ("duplicate" if fault.process else "queued")
    assert retries == 2
    assert queen.payloads("q", "Default") == [1]


def test_a_push_whose_answer_was_cut_is_stored_once(queen: FakeQueen) -> None:
    queen.faults["push"].append(cut(process=True))
    results = run(queen.url, lambda client: client.push([NewMessage("q", n) for n in range(5)]))
    assert [result.status for result in results] == ["duplicate"] * 5
    assert queen.payloads("q", "Default") == [0, 1, 2, 3, 4]
    first, second = queen.of("push")
    assert first.body == second.body


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (refuse(400, "bad body: items"), InvalidRequest, "bad_request"),
        (refuse(413, "body too large", code="body_too_large"), BodyTooLarge, "body_too_large"),
        (refuse(401, "Authentication required"), AccessDenied, "access_denied"),
        (refuse(403, "Insufficient permissions"), AccessDenied, "access_denied"),
        (refuse(404, "Not Found", code="no_such_route"), NotFound, "no_such_route"),
        (refuse(500, "oops"), ServerFailed, "server_failed"),
        (refuse(503, "busy", retry_after=2.5), Overloaded, "overloaded"),
        (refuse(429, "slower", code="rate_limited", retry_after=2.5), Overloaded, "rate_limited"),
        (
            refuse(503, "database away", code="store_unavailable", retry_after=2.5),
            StoreUnavailable,
            "store_unavailable",
        ),
        (refuse(503, "draining", code="shutting_down", retry_after=2.5), ShuttingDown, "shutting_down"),
    ],
)
def test_a_refusal_becomes_its_class_with_text_code_and_hint(
    queen: FakeQueen, fault: Fault, kind: type[QueenError], code: str
) -> None:
    fault.body = fault.body[:-1] + b',"hint":"do this"}'
    queen.faults["push"].append(fault)
    with pytest.raises(kind) as caught:
        run(queen.url, lambda client: client.push([NewMessage("q", 1)]), NO_RETRY)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.hint == "do this"
    assert caught.value.message in fault.body.decode()
    if isinstance(caught.value, Overloaded | StoreUnavailable):
        assert caught.value.retry_after_ms == 2500


def test_refusals_for_good_are_not_repeated(queen: FakeQueen) -> None:
    queen.faults["push"] += [refuse(400), refuse(400)]
    with pytest.raises(InvalidRequest):
        run(queen.url, lambda client: client.push([NewMessage("q", 1)]))
    assert len(queen.of("push")) == 1


def test_an_error_page_of_another_program_is_shown_in_short(queen: FakeQueen) -> None:
    queen.faults["push"].append(Fault(status=404, body=b"<html>\n<p>nginx</p>" + b"x" * 9999))
    with pytest.raises(NotFound) as caught:
        run(queen.url, lambda client: client.push([NewMessage("q", 1)]))
    assert caught.value.message.startswith("the server answered 404: <html> <p>nginx</p>x")
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'[{"status":1}]', b"\xff"])
def test_a_good_status_with_a_foreign_body_is_told(queen: FakeQueen, body: bytes) -> None:
    queen.faults["push"].append(Fault(status=200, body=body))
    with pytest.raises(ServerUnreachable):
        run(queen.url, lambda client: client.push([NewMessage("q", 1)]))
    assert len(queen.of("push")) == 1


def test_nobody_listening_is_told_with_the_url_and_a_hint() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServerUnreachable) as caught:
            run(url, lambda client: client.pop("q"), RetryPolicy(first_patience_ms=0))
    assert "connection refused" in caught.value.message
    assert "secret" not in caught.value.message
    assert "queen serve" in (caught.value.hint or "")


def test_a_silent_server_is_given_up_after_the_timeout(queen: FakeQueen) -> None:
    queen.hold()
    with pytest.raises(ServerUnreachable, match=r"no answer within 0\.2 s"):
        run(queen.url, lambda client: client.push([NewMessage("q", 1)]), NO_RETRY, timeout_s=0.2)
    queen.release()


def test_a_client_whose_connections_are_all_in_use_says_so(queen: FakeQueen) -> None:
    async def work(client: Client) -> None:
        waiting = asyncio.create_task(client.pop("q", wait=True))
        await asyncio.to_thread(queen.reached.wait, 60)
        with pytest.raises(Overloaded, match="all 1 connections of this client"):
            await client.push([NewMessage("q", 1)])
        await asyncio.to_thread(queen.put, "q", "a", "late")
        assert (await waiting).messages

    run(queen.url, work, NO_RETRY, timeout_s=1.0, connections_max=1)
    assert queen.of("push") == []


def test_a_closed_client_is_told_so(queen: FakeQueen) -> None:
    async def work(client: Client) -> None:
        await client.close()
        with pytest.raises(InvalidRequest, match="closed"):
            await client.push([NewMessage("q", 1)])

    run(queen.url, work)


@pytest.mark.parametrize(
    "url", ["", "localhost:6632", "ftp://h", "http://", "http://h:0", "http://h:x", "http://h/?a=1"]
)
def test_a_bad_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(InvalidRequest, match="not a server URL"):
        Client(url)
