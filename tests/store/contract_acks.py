"""What acks and extensions must do in every store: cursors, charges, dead letters, fences and ends of leases."""

from __future__ import annotations

import uuid

from queen.store.base import Acked, AckRow
from tests.store.bench import GROUP, LEASE, OTHER_LEASE, Bench, candidates, ids_of, messages, on_bench


class AckContract:
    """The part of the suite about acks."""

    @on_bench
    async def test_ack_of_the_whole_span_ends_the_lease(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pop(number)
        assert await bench.ack(AckRow(number, GROUP, LEASE, completed=1)) == Acked(1, -1, 1, True)
        assert (await bench.standing(number)).held_ms is None
        assert await bench.pop(number) is None

    @on_bench
    async def test_ack_of_a_part_keeps_the_lease_for_the_rest(self, bench: Bench) -> None:
        number = await bench.filled("a", "b", "c")
        await bench.pop(number)
        assert await bench.ack(AckRow(number, GROUP, LEASE, completed=1)) == Acked(1, -1, 1, False)
        assert await bench.pop(number) is None
        await bench.expire()
        again = await bench.pop(number, lease=OTHER_LEASE)
        assert again is not None
        assert (again.attempt, ids_of(again)) == (2, ["c"])

    @on_bench
    async def test_a_repeated_ack_moves_nothing(self, bench: Bench) -> None:
        number = await bench.filled("a", "b", "c")
        await bench.pop(number)
        await bench.ack(AckRow(number, GROUP, LEASE, completed=1))
        assert await bench.ack(AckRow(number, GROUP, LEASE, completed=0)) == Acked(1, 1, 1, False)

    @on_bench
    async def test_a_stale_lease_changes_nothing(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.pop(number)
        assert await bench.ack(AckRow(number, GROUP, OTHER_LEASE, completed=0)) is None
        assert await bench.ack(AckRow(number, GROUP, OTHER_LEASE, failed=0)) is None
        await bench.expire()
        assert await bench.ack(AckRow(number, GROUP, LEASE, completed=0)) is None
        assert (await bench.standing(number)).acked == -1

    @on_bench
    async def test_an_ack_without_a_lease_is_not_checked(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pop(number)
        await bench.expire()
        assert await bench.ack(AckRow(number, GROUP, None, completed=0)) == Acked(1, -1, 0, False)

    @on_bench
    async def test_an_ack_without_a_cursor_has_no_row(self, bench: Bench) -> None:
        number = await bench.place()
        assert await bench.ack(AckRow(number, GROUP, None, completed=0)) is None
        assert await bench.ack(AckRow(number, GROUP, None, failed=0)) is None

    @on_bench
    async def test_a_retry_gives_back_without_a_charge(self, bench: Bench) -> None:
        await bench.configure("orders", retryLimit=0)
        number = await bench.filled("a", "b", "c")
        await bench.pop(number)
        assert await bench.ack(AckRow(number, GROUP, LEASE, completed=2, retried=1)) == Acked(1, -1, 0, True)
        again = await bench.pop(number, lease=OTHER_LEASE)
        assert again is not None
        assert (again.attempt, ids_of(again)) == (2, ["b", "c"])
        assert await bench.dead_letters() == []

    @on_bench
    async def test_a_retry_behind_the_cursor_changes_nothing(self, bench: Bench) -> None:
        number = await bench.filled("a", "b", "c")
        await bench.pop(number)
        await bench.ack(AckRow(number, GROUP, LEASE, completed=1))
        assert await bench.ack(AckRow(number, GROUP, LEASE, retried=1)) is None
        assert await bench.ack(AckRow(number, GROUP, LEASE, failed=0)) is None
        assert (await bench.standing(number)).lease_id == uuid.UUID(bytes=LEASE)

    @on_bench
    async def test_failures_are_charged_up_to_the_limit_and_then_set_aside(self, bench: Bench) -> None:
        await bench.configure("orders", retryLimit=2)
        number = await bench.filled("a", "b")
        outcomes = []
        for _ in range(3):
            await bench.pop(number)
            outcomes.append(await bench.ack(AckRow(number, GROUP, LEASE, failed=0, error=b"broken")))
        assert [(one.acked, one.released, one.dead_offset) for one in outcomes if one] == [
            (-1, True, None),
            (-1, True, None),
            (0, True, 0),
        ]
        assert await bench.dead_letters() == [(0, b"a", b"broken", 2)]
        assert ids_of(await bench.pop(number)) == ["b"]

    @on_bench
    async def test_completing_a_span_clears_the_charges(self, bench: Bench) -> None:
        await bench.configure("orders", retryLimit=1)
        number = await bench.filled("a", "b")
        await bench.pop(number, batch=1)
        await bench.ack(AckRow(number, GROUP, LEASE, failed=0))
        await bench.pop(number, batch=1)
        await bench.ack(AckRow(number, GROUP, LEASE, completed=0))
        await bench.pop(number)
        outcome = await bench.ack(AckRow(number, GROUP, LEASE, failed=1))
        assert outcome is not None
        assert outcome.dead_offset is None

    @on_bench
    async def test_completed_below_a_failure_counts_and_above_it_does_not(self, bench: Bench) -> None:
        number = await bench.filled("a", "b", "c", "d")
        await bench.pop(number)
        outcome = await bench.ack(AckRow(number, GROUP, LEASE, completed=3, failed=2))
        assert outcome is not None
        assert (outcome.acked_was, outcome.acked, outcome.released) == (-1, 1, True)
        assert ids_of(await bench.pop(number)) == ["c", "d"]

    @on_bench
    async def test_dead_at_once_whatever_the_counter(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pop(number)
        outcome = await bench.ack(AckRow(number, GROUP, LEASE, dead=0, retried=1, failed=0))
        assert outcome is not None
        assert (outcome.acked, outcome.dead_offset, outcome.dead_letter_id is not None) == (0, 0, True)
        assert await bench.dead_letters() == [(0, b"a", b"Retries exhausted", 0)]

    @on_bench
    async def test_without_dead_lettering_an_exhausted_message_is_dropped(self, bench: Bench) -> None:
        await bench.configure("orders", retryLimit=0, deadLetterQueue=False, dlqAfterMaxRetries=False)
        number = await bench.filled("a", "b")
        await bench.pop(number)
        outcome = await bench.ack(AckRow(number, GROUP, LEASE, failed=0))
        assert outcome is not None
        assert (outcome.acked, outcome.dead_letter_id) == (0, None)
        assert await bench.dead_letters() == []

    @on_bench
    async def test_a_retry_delay_that_was_set_holds_the_partition_back(self, bench: Bench) -> None:
        await bench.configure("orders", retryDelay=60_000)
        number = await bench.filled("a")
        await bench.pop(number)
        outcome = await bench.ack(AckRow(number, GROUP, LEASE, failed=0))
        assert outcome is not None
        assert outcome.held_ms == 60_000
        assert await bench.pop(number) is None
        standing = await bench.standing(number)
        assert standing.lease_id is None
        assert standing.held_ms
        await bench.expire()
        assert ids_of(await bench.pop(number)) == ["a"]

    @on_bench
    async def test_an_ack_for_several_cursors_answers_by_place(self, bench: Bench) -> None:
        one, two, three = sorted([await bench.place("q", name) for name in "123"])
        await bench.store.push(messages({one: ("a",), two: ("b",), three: ("c",)}))
        await bench.store.open_cursors([one, two, three], [GROUP] * 3)
        for number in (one, two, three):
            await bench.pop(number)
        rows = [AckRow(one, GROUP, LEASE, completed=0), AckRow(two, GROUP, OTHER_LEASE, completed=0)]
        rows.append(AckRow(three, GROUP, LEASE, completed=0))
        assert sorted(row.place for row in await bench.store.ack(rows)) == [1, 3]

    # Extend.

    @on_bench
    async def test_extend_moves_a_live_lease_and_no_other(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.pop(number)
        (place, until), *rest = await bench.store.extend([LEASE], [number], [3_600_000])
        assert (place, rest) == (1, [])
        assert until > 0
        held_ms = (await bench.standing(number)).held_ms
        assert held_ms is not None
        assert 60_000 < held_ms <= 3_600_000
        assert await bench.store.extend([OTHER_LEASE], [number], [1000]) == []

    @on_bench
    async def test_extend_never_shortens_and_never_revives(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.pop(number)
        before = (await bench.store.extend([LEASE], [number], [3_600_000]))[0][1]
        assert (await bench.store.extend([LEASE], [number], [1000]))[0][1] == before
        await bench.expire()
        assert await bench.store.extend([LEASE], [number], [1000]) == []

    @on_bench
    async def test_extend_finds_every_partition_of_a_lease_over_several(self, bench: Bench) -> None:
        one, two = sorted([await bench.place("q", "1"), await bench.place("q", "2")])
        await bench.store.push(messages({one: ("a",), two: ("b",)}))
        await bench.store.open_cursors([one, two], [GROUP] * 2)
        wanted = ((one, GROUP, 5, LEASE), (two, GROUP, 5, LEASE))
        assert len(await bench.store.pop(1, candidates(*wanted, requests=[1, 1]))) == 2
        assert [place for place, _ in await bench.store.extend([LEASE], [0], [3_600_000])] == [1, 1]
        assert await bench.store.forget_leases(3600) == 0
        assert await bench.store.forget_leases(-1) == 0, "it is live"
        await bench.expire()
        assert await bench.store.forget_leases(-1) == 1
        assert await bench.store.forget_leases(-1) == 0

    @on_bench
    async def test_gaps_are_skipped_to_the_next_message_or_the_end(self, bench: Bench) -> None:
        number = await bench.filled("a", "b", "c", "d")
        await bench.remove(number, 0)
        await bench.remove(number, 3)
        assert await bench.store.skip_gaps([number], [GROUP]) == 1
        assert (await bench.standing(number)).acked == 0
        assert await bench.store.skip_gaps([number], [GROUP]) == 0, "a message stands there"
        await bench.pop(number)
        await bench.ack(AckRow(number, GROUP, LEASE, completed=2))
        assert await bench.store.skip_gaps([number], [GROUP]) == 1
        assert (await bench.standing(number)).acked == 3
        assert await bench.store.skip_gaps([number], [GROUP]) == 0

    @on_bench
    async def test_what_a_lease_holds_is_not_skipped(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.pop(number)
        await bench.remove(number, 0)
        assert await bench.store.skip_gaps([number], [GROUP]) == 0
        await bench.expire()
        assert await bench.store.skip_gaps([number], [GROUP]) == 1
