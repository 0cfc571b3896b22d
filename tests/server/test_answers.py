"""Answers of the hot routes: valid JSON, one object per item in the order of the request, texts and payloads intact."""

from __future__ import annotations

import json
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from queen import errors, model, wire
from queen.engine.ack import AckResult
from queen.engine.catalog import Partition, Queue
from queen.engine.limits import Limits
from queen.engine.pop import PopRequest
from queen.engine.push import PushChunk, PushRequest
from queen.model import COMPLETED, AckItem, NewMessage
from queen.server import answers
from queen.settings import EngineSettings
from queen.store.base import Span, Stored
from tests.support.fake_clock import in_virtual_time

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
HUGE = (1 << 60) - 1


def partition(number: int = 7, queue: str = "orders", name: str = "eu") -> Partition:
    return Partition(number, Queue(1, queue), name, 1)


def message(name: str, place: Partition) -> NewMessage:
    return NewMessage(place.queue.name, place.name, name.encode(), b"1")


def chunk(request: PushRequest, place: Partition, names: dict[int, str]) -> PushChunk:
    """A chunk with messages at these positions of the request."""
    found = PushChunk(place, request)
    for position, name in names.items():
        found.add(position, message(name, place))
    request.chunks.append(found)
    request.left += 1
    return found


def request_of() -> PushRequest:
    return PushRequest(Limits(EngineSettings()))


def message_id(number: int, offset: int) -> str:
    return model.encode_id(model.MESSAGE, number, offset)


# Push.


@in_virtual_time
async def test_a_push_is_answered_in_the_order_of_its_items() -> None:
    request = request_of()
    one, two, three = partition(1), partition(2, name="us"), partition(3, "other")
    chunk(request, one, {0: "a", 3: "d"}).store_from(40)
    chunk(request, two, {1: "b", 4: "e"}).store_each([Stored(9, True), Stored(HUGE, False)])
    chunk(request, three, {2: "c"}).fail(errors.StoreUnavailable('away: "\n'))
    found = json.loads(answers.pushed(request, 5))
    assert [row["index"] for row in found] == [0, 1, 2, 3, 4]
    assert [row["transaction_id"] for row in found] == ["a", "b", "c", "d", "e"]
    assert [row["status"] for row in found] == ["queued", "duplicate", "failed", "queued", "queued"]
    assert [row["message_id"] for row in found] == [
        message_id(1, 40),
        message_id(2, 9),
        model.NO_ID,
        message_id(1, 41),
        message_id(2, HUGE),
    ]
    assert [row["partition_id"] for row in found] == [
        model.encode_id(model.PARTITION, number) for number in (1, 2, 3, 1, 2)
    ]
    assert [row["queueName"] for row in found] == ["orders", "orders", "other", "orders", "orders"]
    assert [row.get("error") for row in found] == [None, None, 'away: "\n', None, None]
    assert "error" not in found[0]


@in_virtual_time
async def test_a_push_of_nothing_is_an_empty_array() -> None:
    assert answers.pushed(request_of(), 0) == b"[]"


@given(TEXTS, TEXTS, st.integers(0, HUGE))
def test_any_name_and_offset_is_echoed(queue: str, name: str, offset: int) -> None:
    @in_virtual_time
    async def whole() -> None:
        for end in ("queued", "sorted out", "failed"):
            request = request_of()
            one = chunk(request, partition(5, queue), {0: name})
            if end == "queued":
                one.store_from(offset)
            elif end == "failed":
                one.fail(errors.NotFound(queue))
            else:
                one.store_each([Stored(offset, False)])
            (row,) = json.loads(answers.pushed(request, 1))
            assert (row["transaction_id"], row["queueName"]) == (name, queue)
            assert row["message_id"] == (model.NO_ID if row["status"] == "failed" else message_id(5, offset))

    whole()


# Pop.


def popped(*spans: tuple[Partition, Span], lease_id: str = "", group: str = "g", queue: bytes = b'"orders"') -> Any:
    """The answer to a pop that got these spans."""
    request = PopRequest([], group, batch=10, partitions=9, only=None, lease_ms=None, auto_ack=not lease_id)
    request.lease_id = lease_id
    request.spans = list(spans)
    return json.loads(answers.popped(request, queue))


def span(*names: str, first: int = 0, **other: Any) -> Span:
    ids = [name.encode() for name in names]
    own = {"offsets": None, "attempt": 1, "payloads": [b"1"] * len(ids), "extras": None, **other}
    return Span(
        1, first, own["offsets"], own["attempt"], 99, ids, own["payloads"], tuple(range(len(ids))), own["extras"]
    )


@in_virtual_time
async def test_a_pop_names_every_field_of_the_contract() -> None:
    lease_id, place = model.new_lease_id(7), partition()
    found = popped((place, span("a", first=3, attempt=2)), lease_id=lease_id)
    assert {key: value for key, value in found.items() if key != "messages"} == {
        "success": True,
        "queue": "orders",
        "partition": "eu",
        "partitionId": place.id_text,
        "leaseId": lease_id,
        "consumerGroup": "g",
        "partitionsClaimed": 1,
    }
    assert found["messages"] == [
        {
            "id": message_id(7, 3),
            "transactionId": "a",
            "traceId": None,
            "data": 1,
            "producerSub": None,
            "createdAt": wire.time_text(0),
            "queue": "orders",
            "partition": "eu",
            "partitionId": place.id_text,
            "leaseId": lease_id,
            "consumerGroup": "g",
            "deliveryAttempt": 2,
        }
    ]


@in_virtual_time
async def test_messages_stand_partition_by_partition_in_order() -> None:
    one, two = partition(1, name="eu"), partition(2, "other", "us")
    found = popped((two, span("c", "d", first=5)), (one, span("a", "b", offsets=(4, 9), first=4)), queue=b'""')
    assert (found["queue"], found["partition"], found["partitionsClaimed"], found["leaseId"]) == ("", "us", 2, "")
    assert [row["transactionId"] for row in found["messages"]] == ["c", "d", "a", "b"]
    assert [row["id"] for row in found["messages"]] == [
        message_id(2, 5),
        message_id(2, 6),
        message_id(1, 4),
        message_id(1, 9),
    ]
    assert [row["queue"] for row in found["messages"]] == ["other", "other", "orders", "orders"]
    assert [row["createdAt"] for row in found["messages"]] == [wire.time_text(us) for us in (0, 1, 0, 1)]


@in_virtual_time
async def test_trace_ids_and_producers_stand_at_their_messages() -> None:
    trace = str(uuid.uuid4())
    extras = json.dumps([[6, trace, None, None], [7, None, 'me "', None], [9, trace, "x", None]])
    found = popped((partition(), span("a", "b", "c", first=5, extras=extras)))
    assert [row["traceId"] for row in found["messages"]] == [None, trace, None]
    assert [row["producerSub"] for row in found["messages"]] == [None, None, 'me "']


@in_virtual_time
async def test_payloads_are_the_bytes_that_were_stored() -> None:
    payloads = [b'{ "a" : 1.50 }', b"null", b"1e400", '"ä\\u0000"'.encode()]
    request = PopRequest([], "g", batch=10, partitions=9, only=None, lease_ms=None, auto_ack=True)
    request.spans = [(partition(), span("a", "b", "c", "d", payloads=payloads))]
    body = answers.popped(request, b'"orders"')
    for payload in payloads:
        assert b'"data":%b,' % payload in body


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_any_name_is_delivered(queue: str, name: str, group: str, transaction_id: str) -> None:
    @in_virtual_time
    async def whole() -> None:
        place = partition(1, queue, name)
        found = popped((place, span(transaction_id)), group=group, queue=place.queue.json_name)
        assert (found["queue"], found["partition"], found["consumerGroup"]) == (queue, name, group)
        (row,) = found["messages"]
        assert (row["queue"], row["partition"], row["consumerGroup"]) == (queue, name, group)
        assert row["transactionId"] == transaction_id

    whole()


# Ack.


def test_an_ack_is_answered_item_by_item() -> None:
    place = partition(1, 'o"', "eu")
    results = [
        AckResult(None, True, partition=place),
        AckResult(None, True, partition=place),
        AckResult(None, True, dead=True, partition=place),
        AckResult(None, noop=True, partition=place),
        AckResult("no such thing"),
    ]
    items = [AckItem(name.encode(), 1, COMPLETED, None, None) for name in ("a", 'b"', "c\n", "ä", "")]
    found = json.loads(answers.acked(items, results))
    assert [row["index"] for row in found] == [0, 1, 2, 3, 4]
    assert [row["transactionId"] for row in found] == ["a", 'b"', "c\n", "ä", ""]
    assert [row["success"] for row in found] == [True, True, True, True, False]
    assert [row["error"] for row in found] == [None, None, None, None, "no such thing"]
    assert [row["leaseReleased"] for row in found] == [True, True, True, False, False]
    assert [(row["dlq"], row["noop"]) for row in found] == [
        (False, False),
        (False, False),
        (True, False),
        (False, True),
        (False, False),
    ]
    assert [(row["queueName"], row["partitionName"]) for row in found] == [('o"', "eu")] * 4 + [(None, None)]


def test_an_ack_of_nothing_is_an_empty_array() -> None:
    assert answers.acked([], []) == b"[]"
