"""The verbs around the messages against a server in memory: routes, bodies, answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from msgspec import Raw

from queen.client import Ack, Client, Message, NewMessage, RetryPolicy
from queen.errors import NotFound, ServerUnreachable, TransactionRefused
from tests.support.fake_queen import FakeQueen, cut, fake_queen

_Result = TypeVar("_Result")
QUICK = RetryPolicy(patience_ms=60_000, first_patience_ms=60_000, wait_ms=1, wait_ms_max=5)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def run(queen: FakeQueen, work: Callable[[Client], Awaitable[_Result]]) -> _Result:
    async def main() -> _Result:
        async with Client(queen.url, retry=QUICK) as client:
            return await work(client)

    return asyncio.run(main())


def message(number: int, group: str = "billing") -> Message:
    return Message(f"m{number}", f"t{number}", "p", Raw(b"1"), lease_id="l", consumer_group=group)


# Transactions

COMMITTED = {
    "transactionId": "x",
    "success": True,
    "results": [
        {"index": 0, "type": "ack", "success": True, "transactionId": "t1", "error": None, "dlq": False},
        {"index": 1, "type": "push", "success": True, "transactionId": "n1", "messageId": "i1", "queueName": "q"},
        {"index": 2, "type": "push", "success": True, "transactionId": "n1", "messageId": "i1", "duplicate": True},
    ],
}


def test_a_transaction_sends_acks_and_pushes_in_one_request(queen: FakeQueen) -> None:
    queen.reply("POST /api/v1/transaction", COMMITTED)
    new = [NewMessage("q", {"n": 1}, transaction_id="n1"), NewMessage("q", {"n": 2}, transaction_id="n1")]
    done = run(queen, lambda client: client.transaction(push=new, ack=[Ack(message(1))]))
    assert [one.transaction_id for one in done.acked] == ["t1"]
    assert [(one.status, one.message_id) for one in done.pushed] == [("queued", "i1"), ("duplicate", "i1")]
    (seen,) = queen.of("other")
    assert seen.body["operations"][0] == {
        "type": "ack", "transactionId": "t1", "partitionId": "p", "status": "completed", "leaseId": "l",
        "consumerGroup": "billing",
    }  # fmt: skip
    assert [item["payload"] for item in seen.body["operations"][1]["items"]] == [{"n": 1}, {"n": 2}]


def test_a_transaction_without_operations_sends_nothing(queen: FakeQueen) -> None:
    assert run(queen, lambda client: client.transaction()).pushed == []
    assert queen.seen == []


def test_a_rolled_back_transaction_is_an_error_with_its_reason(queen: FakeQueen) -> None:
    refused = {"transactionId": "x", "success": False, "reason": "duplicate", "error": "known", "results": []}
    queen.reply("POST /api/v1/transaction", refused)
    with pytest.raises(TransactionRefused, match="known") as caught:
        run(queen, lambda client: client.transaction(push=[NewMessage("q", 1)]))
    assert (caught.value.reason, caught.value.hint) == ("duplicate", None)


def test_a_refusal_after_a_lost_answer_says_that_it_may_be_its_own_trace(queen: FakeQueen) -> None:
    refused = {"transactionId": "x", "success": False, "reason": "duplicate", "error": "known", "results": []}
    queen.reply("POST /api/v1/transaction", refused)
    queen.faults["other"].append(cut(process=True))
    with pytest.raises(TransactionRefused) as caught:
        run(queen, lambda client: client.transaction(push=[NewMessage("q", 1)]))
    assert "earlier try" in (caught.value.hint or "")


def test_a_transaction_answer_of_another_length_is_not_queens(queen: FakeQueen) -> None:
    queen.reply("POST /api/v1/transaction", COMMITTED)
    with pytest.raises(ServerUnreachable, match="3 results to 1"):
        run(queen, lambda client: client.transaction(push=[NewMessage("q", 1)]))


# Administration

Work = Callable[[Client], Awaitable[Any]]


@pytest.mark.parametrize(
    ("work", "method", "path", "query", "body"),
    [
        (lambda c: c.configure("a/b", {"leaseTime": 5, "ttl": None}), "POST", "configure", {},
         {"queue": "a/b", "options": {"leaseTime": 5, "ttl": None}}),
        (lambda c: c.configure("q", namespace="n", task="t", replace=True), "POST", "configure", {},
         {"queue": "q", "options": {}, "namespace": "n", "task": "t", "mode": "replace"}),
        (lambda c: c.delete_queue("a/b"), "DELETE", "resources/queues/a%2Fb", {}, None),
        (lambda c: c.delete_group("g/1"), "DELETE", "consumer-groups/g%2F1", {"deleteMetadata": "true"}, None),
        (lambda c: c.delete_group("g", queue="a b", keep_subscription=True), "DELETE",
         "consumer-groups/g/queues/a%20b", {"deleteMetadata": "false"}, None),
        (lambda c: c.seek_group("g", "q", "end"), "POST", "consumer-groups/g/queues/q/seek", {}, {"toEnd": True}),
        (lambda c: c.seek_group("g", "q", NOON, partition="p/1"), "POST",
         "consumer-groups/g/queues/q/partitions/p%2F1/seek", {}, {"timestamp": "2026-03-02T12:00:00+00:00"}),
        (lambda c: c.metrics(), "GET", "/metrics", {}, None),
        (lambda c: c.post("/api/v1/stats/refresh"), "POST", "stats/refresh", {}, None),
        (lambda c: c.post("/api/v1/traces", {"a": 1}), "POST", "traces", {}, {"a": 1}),
    ],
)  # fmt: skip
def test_a_verb_goes_to_its_route(
    queen: FakeQueen, work: Work, method: str, path: str, query: dict[str, str], body: Any
) -> None:
    run(queen, work)
    (seen,) = queen.of("other")
    whole = path if path.startswith("/") else f"/api/v1/{path}"
    assert (seen.method, seen.path, seen.query, seen.body) == (method, whole, query, body)


def test_queues_come_as_a_page_that_says_whether_there_is_more(queen: FakeQueen) -> None:
    entry = {"id": "i", "name": "orders", "namespace": "shop", "partitions": 3, "new": 1, "retainedBytes": 7,
             "messages": {"total": 512, "pending": 40, "processing": 8}}  # fmt: skip
    queen.reply("GET /api/v1/resources/queues", {"queues": [entry]}, Queen_More="true")
    page = run(queen, lambda client: client.queues(search="ord", limit=1, offset=2))
    (queue,) = page.items
    assert (queue.name, queue.partitions, queue.messages.pending, queue.retained_bytes) == ("orders", 3, 40, 7)
    assert page.more
    assert queen.seen[0].query == {"search": "ord", "limit": "1", "offset": "2"}


def test_a_queue_comes_with_options_partitions_and_totals(queen: FakeQueen) -> None:
    detail = {
        "id": "i", "name": "orders", "options": {"leaseTime": 120}, "totals": {"total": 5, "failed": None},
        "partitions": [{"id": "p", "name": "a", "stats": {"total": 5, "pending": 2}, "oldestMessage": None}],
    }  # fmt: skip
    queen.reply("GET /api/v1/resources/queues/orders", detail)
    queue = run(queen, lambda client: client.queue("orders"))
    assert (queue.options["leaseTime"], queue.totals.total, queue.partitions[0].stats.pending) == (120, 5, 2)


def test_an_unknown_queue_is_not_found(queen: FakeQueen) -> None:
    queen.reply("GET /api/v1/resources/queues/no", {"error": "Queue not found"}, 404)
    with pytest.raises(NotFound, match="Queue not found"):
        run(queen, lambda client: client.queue("no"))


@pytest.mark.parametrize(
    ("answer", "deleted"), [({"deleted": True}, True), ({"deleted": False, "existed": False}, False)]
)
def test_a_delete_says_whether_there_was_a_queue(queen: FakeQueen, answer: dict[str, Any], deleted: bool) -> None:
    queen.reply("DELETE /api/v1/resources/queues/q", answer)
    assert run(queen, lambda client: client.delete_queue("q")) is deleted


def test_groups_come_as_a_page(queen: FakeQueen) -> None:
    entry = {"name": "billing", "topics": ["q"], "queueName": "q", "members": 3, "partitionsWithLag": 1,
             "totalLag": 7, "maxTimeLag": 3.5, "state": "Stable", "subscriptionMode": None}  # fmt: skip
    queen.reply("GET /api/v1/consumer-groups", [entry])
    page = run(queen, lambda client: client.groups())
    (group,) = page.items
    assert (group.name, group.queue_name, group.total_lag, group.max_time_lag, page.more) == (
        "billing",
        "q",
        7,
        3.5,
        False,
    )


@pytest.mark.parametrize(("answer", "count"), [({"partitionsUpdated": 4}, 4), ({"updated": True}, 1)])
def test_a_seek_counts_partitions(queen: FakeQueen, answer: dict[str, Any], count: int) -> None:
    queen.reply("POST /api/v1/consumer-groups/g/queues/q/seek", {"success": True, **answer})
    assert run(queen, lambda client: client.seek_group("g", "q", "end")) == count


LETTER = {"id": "d1", "messageId": "m", "transactionId": "t", "partitionId": "p", "queue": "q", "partition": "a",
          "consumerGroup": "g", "errorMessage": "502", "retryCount": 5, "data": {"n": 1}, "producerSub": None,
          "createdAt": "2026-03-02T08:15:00.104Z", "failedAt": "2026-03-02T08:31:44.020Z"}  # fmt: skip


def test_dead_letters_are_listed_and_replayed(queen: FakeQueen) -> None:
    answer = {"messages": [LETTER], "pagination": {"limit": 1, "offset": 0}, "total": 2}
    queen.reply("GET /api/v1/dlq", answer, Queen_More="true")
    moved = {"success": True, "result": "moved", "queue": "q", "partition": "a", "dlqId": "d1",
             "originalTransactionId": "t", "replayedAs": {}, "dlqRowRemoved": True}  # fmt: skip
    queen.reply("POST /api/v1/dlq/d1/replay", moved)

    async def work(client: Client) -> Any:
        page = await client.dead_letters(queue="q", group="g", failed_from=NOON, limit=1)
        (letter,) = page.items
        assert (letter.payload(), letter.error_message, letter.retry_count) == ({"n": 1}, "502", 5)
        assert (page.more, page.total) == (True, 2)
        await client.replay(letter.id)
        return await client.replay(letter, queue="other")

    replayed = run(queen, work)
    assert (replayed.result, replayed.original_transaction_id) == ("moved", "t")
    listed, first, second = queen.of("other")
    assert listed.query == {"queue": "q", "consumerGroup": "g", "from": NOON.isoformat(), "limit": "1", "offset": "0"}
    assert (first.body, second.body) == (None, {"queue": "other"})


def test_a_replay_of_what_is_gone_is_not_found(queen: FakeQueen) -> None:
    queen.reply("POST /api/v1/dlq/x/replay", {"success": False, "result": "gone", "error": "Message not found"}, 404)
    with pytest.raises(NotFound, match="Message not found"):
        run(queen, lambda client: client.replay("x"))


def test_bad_health_is_an_answer_at_once(queen: FakeQueen) -> None:
    queen.reply("GET /health", {"status": "unhealthy", "database": "disconnected"}, 503)
    assert run(queen, lambda client: client.health())["status"] == "unhealthy"
    assert len(queen.seen) == 1


def test_a_delayed_message_says_so(queen: FakeQueen) -> None:
    new = [NewMessage("q", 1, delay_seconds=1.5), NewMessage("q", 2, scheduled_at="2030-01-01T00:00:00Z")]
    run(queen, lambda client: client.push(new))
    first, second = queen.of("push")[0].body["items"]
    assert (first["delaySeconds"], second["scheduledAt"]) == (1.5, "2030-01-01T00:00:00Z")
