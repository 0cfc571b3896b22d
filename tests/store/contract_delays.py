"""What every store must do with messages that are too young for their queue: delayedProcessing and windowBuffer."""

from __future__ import annotations

from dataclasses import replace

from queen.store.base import Span
from tests.store.bench import GROUP, LEASE, Bench, candidates, ids_of, on_bench

MINUTE_MS = 60_000


async def pop(
    bench: Bench, number: int, *, delay_ms: int | None = None, window_ms: int | None = None, batch: int = 10
) -> Span:
    """What a pop answers for one partition; it must answer something."""
    asked = replace(candidates((number, GROUP, batch, LEASE)), delays_ms=[delay_ms], windows_ms=[window_ms])
    spans = await bench.store.pop(1, asked)
    assert len(spans) == 1
    return spans[0]


class DelayContract:
    """The part of the suite about messages that are too young."""

    @on_bench
    async def test_a_young_message_is_held_and_says_for_how_long(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        for held in (
            await pop(bench, number, delay_ms=MINUTE_MS),
            await pop(bench, number, window_ms=MINUTE_MS),
            await pop(bench, number, delay_ms=1, window_ms=MINUTE_MS),
        ):
            assert held.held_ms is not None
            assert 0 < held.held_ms <= MINUTE_MS
            assert (held.place, held.head) == (1, 2)
        assert (await bench.standing(number)).held_ms is None, "nothing was leased"

    @on_bench
    async def test_only_what_is_old_enough_for_the_delay_goes(self, bench: Bench) -> None:
        number = await bench.filled("a", "b")
        await bench.pass_time(120)
        await bench.push(number, "c")
        span = await pop(bench, number, delay_ms=MINUTE_MS)
        assert (ids_of(span), span.held_ms) == (["a", "b"], None)
        assert (await bench.standing(number)).lease_end == 1

    @on_bench
    async def test_a_window_lets_all_go_once_the_first_is_old_enough(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.pass_time(120)
        await bench.push(number, "b")
        assert ids_of(await pop(bench, number, window_ms=MINUTE_MS)) == ["a", "b"]

    @on_bench
    async def test_with_both_the_window_opens_and_the_delay_cuts(self, bench: Bench) -> None:
        number = await bench.filled("a")
        await bench.pass_time(120)
        await bench.push(number, "b")
        assert ids_of(await pop(bench, number, window_ms=MINUTE_MS, delay_ms=MINUTE_MS)) == ["a"]

    @on_bench
    async def test_a_candidate_without_a_delay_is_not_held(self, bench: Bench) -> None:
        one, two = sorted([await bench.place("q", "1"), await bench.place("q", "2")])
        await bench.push(one, "a")
        await bench.push(two, "b")
        await bench.store.open_cursors([one, two], [GROUP, GROUP])
        asked = candidates((one, GROUP, 10, LEASE), (two, GROUP, 10, LEASE))
        spans = await bench.store.pop(1, replace(asked, delays_ms=[MINUTE_MS, None]))
        assert [(span.place, span.held_ms is None) for span in spans] == [(1, False), (2, True)]
        assert ids_of(spans[1]) == ["b"]

    @on_bench
    async def test_nothing_there_is_not_held(self, bench: Bench) -> None:
        number = await bench.filled()
        asked = replace(candidates((number, GROUP, 10, LEASE)), delays_ms=[MINUTE_MS])
        assert await bench.store.pop(1, asked) == []
