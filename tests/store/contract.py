"""What every store must do, as one suite: for the one on PostgreSQL, and for the one in memory that tests trust.

A subclass gives the fixture `open_bench`. It speaks of behaviour only: what the engine may rely on when it calls.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queen import errors
from queen.store.base import AckRow, Fill, Stored
from tests.store.bench import GROUP, LEASE, OTHER_LEASE, Bench, candidates, ids_of, messages, on_bench, payload
from tests.store.contract_acks import AckContract
from tests.store.contract_cluster import ClusterContract
from tests.store.contract_delays import DelayContract
from tests.store.contract_scheduled import ScheduledContract
from tests.store.contract_transactions import TransactionContract
from tests.support.memory_rows import DEFAULTS


class StoreContract(AckContract, ClusterContract, TransactionContract, DelayContract, ScheduledContract):
    """The whole suite."""

    # Queues and partitions.

    @on_bench
    async def test_resolve_creates_once_and_answers_in_input_order(self, bench: Bench) -> None:
        pairs = [(b"b", b"1"), (b"a", b"1"), (b"b", b"1"), (b"a", b"2")]
        first = await bench.store.resolve([q for q, _ in pairs], [p for _, p in pairs])
        again = await bench.store.resolve([q for q, _ in reversed(pairs)], [p for _, p in reversed(pairs)])
        assert list(reversed(again)) == first
        assert first[0] == first[2]
        assert first[1].queue_id == first[3].queue_id != first[0].queue_id
        assert len({row.partition_id for row in first}) == 3

    @on_bench
    async def test_a_queue_takes_namespace_and_task_from_its_name(self, bench: Bench) -> None:
        rows = [await bench.store.ensure_queue(name) for name in ("plain", "shop.mail", "shop.mail.eu.west")]
        assert [(row.namespace, row.task) for row in rows] == [("plain", ""), ("shop", "mail"), ("shop", "mail")]
        assert (await bench.store.ensure_queue("plain")).queue_id == rows[0].queue_id

    @on_bench
    async def test_a_new_queue_has_the_default_options(self, bench: Bench) -> None:
        assert (await bench.store.ensure_queue("plain")).options == DEFAULTS

    @on_bench
    async def test_queues_are_found_by_name_namespace_task_and_search(self, bench: Bench) -> None:
        for name in ("b.x", "a.x", "a.y", "Zoo"):
            await bench.store.ensure_queue(name)

        async def names(**wanted: Any) -> list[str]:
            return [row.name for row in await bench.store.find_queues(**wanted)]

        assert await names() == ["Zoo", "a.x", "a.y", "b.x"]
        assert await names(namespace="a") == ["a.x", "a.y"]
        assert await names(task="x") == ["a.x", "b.x"]
        assert await names(namespace="a", task="y") == ["a.y"]
        assert await names(search="ZO") == ["Zoo"]
        assert await names(limit=2, offset=1) == ["a.x", "a.y"]
        assert await names(name="nothing") == []

    @on_bench
    async def test_resolve_tells_the_options_that_pushes_have_to_know(self, bench: Bench) -> None:
        [row] = await bench.store.resolve([b"plain"], [b"p"])
        assert row.options is None
        await bench.configure("plain", maxSize=0, encryptionEnabled=False)
        assert (await bench.store.resolve([b"plain"], [b"p"]))[0].options is None
        for options in ({"maxSize": 7}, {"maxSize": 0, "encryptionEnabled": True}):
            await bench.configure("plain", **options)
            [row] = await bench.store.resolve([b"plain"], [b"p"])
            assert row.options == {**DEFAULTS, **options}
            assert (await bench.store.partition_names([row.partition_id]))[0].options == row.options

    @on_bench
    async def test_what_a_queue_holds_and_what_its_groups_do_not_wait_for(self, bench: Bench) -> None:
        one = await bench.filled("a", "b", "c")
        two = await bench.place("orders", "us")
        await bench.push(two, "d")
        [row] = await bench.store.partition_names([one])
        await bench.store.subscribe(row.queue_id, "away", "all", None)
        await bench.pop(one, batch=2)
        await bench.ack(AckRow(one, GROUP, LEASE, completed=0))
        found = await bench.store.undelivered([row.queue_id], [0], 10)
        assert sorted(found, key=str) == sorted(
            [
                Fill(row.queue_id, None, 4, None),
                Fill(row.queue_id, GROUP.decode(), 2, None),
                Fill(row.queue_id, "away", 0, None),
            ],
            key=str,
        )
        await bench.expire()
        assert Fill(row.queue_id, GROUP.decode(), 1, None) in await bench.store.undelivered([row.queue_id], [0], 10)
        assert Fill(row.queue_id, None, 3, min(one, two)) in await bench.store.undelivered([row.queue_id], [0], 1)

    @on_bench
    async def test_partitions_are_found_by_id(self, bench: Bench) -> None:
        number = await bench.place("orders", "eu")
        rows = await bench.store.partition_names([number, number + 1000])
        assert [(row.partition_id, row.queue, row.partition) for row in rows] == [(number, "orders", "eu")]

    @on_bench
    async def test_a_deleted_queue_comes_back_under_new_ids(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.delete_queue("orders")
        assert (await bench.standing(number)).found is False
        assert await bench.store.partition_names([number]) == []
        assert await bench.place() != number

    # Push.

    @on_bench
    async def test_push_hands_out_offsets_without_gaps(self, bench: Bench) -> None:
        number = await bench.place()
        assert await bench.push(number, "a", "b") == (0,)
        assert await bench.push(number, "c") == (2,)

    @on_bench
    async def test_push_to_several_partitions_answers_for_each(self, bench: Bench) -> None:
        one, two = sorted([await bench.place("q", "1"), await bench.place("q", "2")])
        await bench.push(two, "x")
        assert await bench.store.push(messages({one: ("a", "b"), two: ("c",)})) == (0, 1)
        assert (await bench.standing(two)).head == 2

    @on_bench
    async def test_push_to_a_partition_that_is_gone_stores_the_others(self, bench: Bench) -> None:
        one = await bench.place()
        assert await bench.store.push(messages({one: ("a",), one + 1000: ("b",)})) == (0, -1)
        thorough = await bench.store.push_deduplicating(messages({one: ("c",), one + 1000: ("d",)}))
        assert thorough == [Stored(1, False), Stored(None, False)]

    @on_bench
    async def test_a_known_transaction_id_fails_the_whole_push_and_keeps_nothing(self, bench: Bench) -> None:
        one, two = sorted([await bench.place("q", "1"), await bench.place("q", "2")])
        await bench.push(two, "x")
        with pytest.raises(errors.DuplicateTransaction):
            await bench.store.push(messages({one: ("a",), two: ("x",)}))
        assert (await bench.standing(one)).head == 0

    @on_bench
    async def test_a_repeated_transaction_id_in_one_push_is_a_duplicate(self, bench: Bench) -> None:
        with pytest.raises(errors.DuplicateTransaction):
            await bench.push(await bench.place(), "a", "a")

    @on_bench
    async def test_a_thorough_push_names_the_first_copy(self, bench: Bench) -> None:
        number = await bench.place()
        await bench.push(number, "a", "b")
        stored = await bench.store.push_deduplicating(messages({number: ("c", "b", "c", "d")}))
        assert stored == [Stored(2, False), Stored(1, True), Stored(2, True), Stored(3, False)]
        assert (await bench.standing(number)).head == 4

    @on_bench
    async def test_one_id_in_two_partitions_is_two_messages(self, bench: Bench) -> None:
        one, two = sorted([await bench.place("q", "1"), await bench.place("q", "2")])
        assert await bench.store.push(messages({one: ("a",), two: ("a",)})) == (0, 0)

    @on_bench
    async def test_without_deduplication_equal_ids_are_stored_each(self, bench: Bench) -> None:
        await bench.configure("orders", dedupWindowSeconds=0)
        number = await bench.place()
        assert await bench.push(number, "a", "a") == (0,)
        assert await bench.store.push_deduplicating(messages({number: ("a",)})) == [Stored(2, False)]

    @on_bench
    async def test_batches_stored_together_know_each_other(self, bench: Bench) -> None:
        number = await bench.place()
        batches = [messages({number: ("a", "b")}), messages({number: ("b", "c")})]
        assert await bench.store.push_together(batches) == [
            [Stored(0, False), Stored(1, False)],
            [Stored(1, True), Stored(2, False)],
        ]

    @on_bench
    async def test_text_that_cannot_be_stored_is_refused_and_nothing_is_kept(self, bench: Bench) -> None:
        number = await bench.place()
        for bad in (b'"\x00"', b'"\xff"'):
            batch = messages({number: ("a", "b")})
            batch.payloads[1] = bad
            with pytest.raises(errors.InvalidRequest):
                await bench.store.push(batch)
        assert (await bench.standing(number)).head == 0

    # Pop.

    @on_bench
    async def test_pop_returns_what_was_pushed_byte_for_byte(self, bench: Bench) -> None:
        number = await bench.place()
        trace = uuid.uuid4()
        await bench.store.push(messages({number: ("ä", "b")}, trace.bytes))
        await bench.store.open_cursors([number], [GROUP])
        span = await bench.pop(number)
        assert span is not None
        assert (span.place, span.first_offset, span.offsets, span.attempt, span.head) == (1, 0, None, 1, 2)
        assert span.transaction_ids == ["ä".encode(), b"b"]
        assert span.payloads == [payload("ä".encode()), payload(b"b")]
        assert len(span.created_ats) == 2
        assert span.created_ats[0] <= span.created_ats[1]
        assert json.loads(span.extras or "") == [[0, str(trace), None, None], [1, str(trace), None, None]]

    @on_bench
    async def test_pop_without_trace_ids_has_no_extras(self, bench: Bench) -> None:
        span = await bench.pop(await bench.filled("a"))
        assert span is not None
        assert span.extras is None

    @on_bench
    async def test_pop_takes_no_more_than_its_batch(self, bench: Bench) -> None:
        number = await bench.filled("a", "b", "c")
        assert ids_of(await bench.pop(number, batch=2)) == ["a", "b"]
        assert (await bench.standing(number)).lease_end == 1

    @on_bench
    async def test_pop_without_a_cursor_gets_nothing(self, bench: Bench) -> None:
        number = await bench.place()
        await bench.push(number, "a")
        assert await bench.pop(number) is None
        assert (await bench.standing(number)).acked is None

    @on_bench
    async def test_pop_of_an_empty_partition_gets_nothing(self, bench: Bench) -> None:
        number = await bench.filled()
        assert await bench.pop(number) is None
        assert (await bench.standing(number)).held_ms is None

    @on_bench
    async def test_a_leased_partition_is_held_for_its_group_alone(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.store.open_cursors([number], [b"audit"])
        assert ids_of(await bench.pop(number)) == ["a"]
        assert await bench.pop(number, lease=OTHER_LEASE) is None
        assert ids_of(await bench.pop(number, group=b"audit", lease=OTHER_LEASE)) == ["a"]
        standing = await bench.standing(number)
        assert standing.lease_id == uuid.UUID(bytes=LEASE)
        assert standing.held_ms is not None
        assert 0 < standing.held_ms <= 60_000

    @on_bench
    async def test_an_expired_lease_is_delivered_again_as_the_next_attempt(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pop(number)
        await bench.expire()
        standing = await bench.standing(number)
        assert (standing.lease_id, standing.held_ms) == (None, None)
        again = await bench.pop(number, lease=OTHER_LEASE)
        assert again is not None
        assert (again.attempt, ids_of(again)) == (2, ["a", "b"])

    @on_bench
    async def test_pop_without_a_lease_acknowledges_at_delivery(self, bench: Bench) -> None:
        number = await bench.filled("a", "b", "c")
        span = await bench.pop(number, batch=2, lease=None)
        assert span is not None
        assert (span.attempt, ids_of(span)) == (1, ["a", "b"])
        standing = await bench.standing(number)
        assert (standing.acked, standing.held_ms) == (1, None)
        assert ids_of(await bench.pop(number, lease=None)) == ["c"]

    @on_bench
    async def test_one_request_over_several_partitions_shares_its_limit(self, bench: Bench) -> None:
        numbers = sorted([await bench.place("q", name) for name in "123"])
        for number in numbers:
            await bench.push(number, "a", "b")
        await bench.store.open_cursors(numbers, [GROUP] * 3)
        wanted = [(number, GROUP, 3, LEASE) for number in numbers]
        spans = await bench.store.pop(1, candidates(*wanted, requests=[1, 1, 1]))
        assert [(span.place, ids_of(span)) for span in spans] == [(1, ["a", "b"]), (2, ["a"])]
        assert (await bench.standing(numbers[2])).held_ms is None

    @on_bench
    async def test_requests_of_one_call_have_limits_and_leases_of_their_own(self, bench: Bench) -> None:
        one, two = sorted([await bench.place("q", "1"), await bench.place("q", "2")])
        await bench.store.push(messages({one: ("a", "b"), two: ("c", "d")}))
        await bench.store.open_cursors([one, two], [GROUP] * 2)
        spans = await bench.store.pop(1, candidates((one, GROUP, 1, LEASE), (two, GROUP, 2, OTHER_LEASE)))
        assert [(span.place, ids_of(span)) for span in spans] == [(1, ["a"]), (2, ["c", "d"])]
        assert (await bench.standing(two)).lease_id == uuid.UUID(bytes=OTHER_LEASE)

    @on_bench
    async def test_pop_stops_after_the_message_that_reaches_the_bound_on_bytes(self, bench: Bench) -> None:
        number = await bench.filled("a", "b", "c")
        size = len(payload(b"a"))
        for bound, taken in ((1, ["a"]), (size, ["a"]), (size + 1, ["a", "b"]), (3 * size, ["a", "b", "c"])):
            batch = candidates((number, GROUP, 10, LEASE))
            batch.bytes_max = bound
            (span,) = await bench.store.pop(1, batch)
            assert ids_of(span) == taken
            await bench.expire()

    @on_bench
    async def test_offsets_with_a_gap_are_listed(self, bench: Bench) -> None:
        number = await bench.filled("a", "b", "c")
        await bench.remove(number, 1)
        span = await bench.pop(number)
        assert span is not None
        assert (span.first_offset, list(span.offsets or ()), ids_of(span)) == (0, [0, 2], ["a", "c"])

    # Cursors, subscriptions, look-ups.

    @on_bench
    async def test_a_cursor_once_opened_stays(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pop(number, lease=None)
        await bench.store.open_cursors([number, number + 1000], [GROUP, GROUP])
        assert (await bench.standing(number)).acked == 1

    @on_bench
    async def test_a_group_of_new_messages_skips_what_was_there(self, bench: Bench) -> None:
        number = await bench.place()
        queue = (await bench.store.ensure_queue("orders")).queue_id
        await bench.push(number, "a")
        await bench.store.subscribe(queue, "workers", "new", None)
        await bench.store.subscribe(queue, "workers", "all", None)
        await bench.push(number, "b")
        await bench.store.open_cursors([number], [GROUP])
        assert ids_of(await bench.pop(number)) == ["b"]

    @on_bench
    async def test_a_group_starts_at_its_timestamp(self, bench: Bench) -> None:
        number = await bench.place()
        queue = (await bench.store.ensure_queue("orders")).queue_id
        await bench.push(number, "a", "b")
        await bench.store.open_cursors([number], [b"all"])
        span = await bench.pop(number, group=b"all")
        assert span is not None
        first = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=span.created_ats[0])
        await bench.store.subscribe(queue, "past", "timestamp", first.isoformat())
        await bench.store.subscribe(queue, "future", "timestamp", (first + timedelta(days=1)).isoformat())
        await bench.store.open_cursors([number, number], [b"past", b"future"])
        assert (await bench.standing(number, b"past")).acked == -1
        assert (await bench.standing(number, b"future")).acked == 1

    @on_bench
    async def test_ready_partitions_come_by_the_page(self, bench: Bench) -> None:
        numbers = sorted([await bench.place("q", name) for name in "123"])
        queue = (await bench.store.ensure_queue("q")).queue_id
        await bench.push(numbers[1], "a", "b")
        await bench.store.open_cursors([numbers[1]], [GROUP])
        first = await bench.store.ready_partitions(queue, "workers", 0, 2)
        assert [(row.partition_id, row.name, row.head, row.acked, row.held_ms) for row in first] == [
            (numbers[0], "1", 0, None, None),
            (numbers[1], "2", 2, -1, None),
        ]
        await bench.pop(numbers[1])
        rest = await bench.store.ready_partitions(queue, "workers", numbers[0], 10)
        assert [row.partition_id for row in rest] == numbers[1:]
        assert rest[0].held_ms is not None
        assert await bench.store.ready_partitions(queue, "workers", numbers[2], 10) == []

    @on_bench
    async def test_locate_finds_ahead_then_behind_then_nothing(self, bench: Bench) -> None:
        await bench.configure("orders", dedupWindowSeconds=0)
        number = await bench.filled("a", "b", "a", "a", "c")

        async def located(names: str, low: int, high: int) -> list[int | None]:
            count = len(names)
            ids = [name.encode() for name in names]
            return await bench.store.locate([number] * count, ids, [low] * count, [high] * count)

        assert await located("abc", -1, 4) == [0, 1, 4]
        assert await located("aaaa", -1, 4) == [0, 2, 3, None]
        assert await located("ab", 1, 4) == [2, 1]
        assert await located("cx", -1, 3) == [None, None]

    @on_bench
    async def test_examine_answers_in_input_order(self, bench: Bench) -> None:
        number = await bench.filled("a")
        rows = await bench.store.examine([number + 1000, number, number], [GROUP, b"nobody", GROUP])
        assert [(row.found, row.acked) for row in rows] == [(False, None), (True, None), (True, -1)]
        assert rows[2].epoch == 1
