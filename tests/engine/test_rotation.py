"""When an epoch ends, what a tick of the upkeep does with what it sees, and what when locks are not to be had."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from queen import errors
from queen.engine.maintenance.retention import is_mostly_dead
from queen.engine.maintenance.rotation import is_due
from queen.engine.maintenance.upkeep import Upkeep
from queen.engine.stats import Stats
from queen.settings import EngineSettings
from queen.store.base import EpochRow, Life, Page
from tests.support.fake_clock import in_virtual_time

SETTINGS = EngineSettings()
MINUTE, DAY, GIB = 60_000, 86_400_000, 1 << 30


def row(epoch: int = 1, age_ms: int = 0, size: int = 1000, window_s: int = 0, **more: bool) -> EpochRow:
    """The newest epoch; with `recorded` or `emptied` an older one."""
    closed = 1 if more else None
    return EpochRow(
        epoch, age_ms, closed, more.get("recorded", False), more.get("emptied", False), size, window_s,
        more.get("expiring", False),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("age_ms", "size", "window_s", "due"),
    [
        (0, GIB, 0, False),
        (9 * MINUTE, GIB, 0, False),
        (10 * MINUTE, GIB - 1, 0, False),
        (10 * MINUTE, GIB, 0, True),
        (DAY - 1, 1, 0, False),
        (DAY, 1, 0, True),
        (DAY * 1000, 0, 0, False),
        (19 * MINUTE, GIB, 3600, False),
        (20 * MINUTE, GIB, 3600, True),
        (DAY, 1, 7 * 86_400, False),
        (7 * DAY // 3, 1, 7 * 86_400, True),
    ],
)
def test_an_epoch_ends_by_size_or_age_but_not_before_a_third_of_the_window(
    age_ms: int, size: int, window_s: int, due: bool
) -> None:
    assert is_due([row(1, age_ms, size, window_s)], SETTINGS) is due


@pytest.mark.parametrize(("epochs", "days"), [(1, 1), (50, 1), (54, 1), (55, 2), (60, 4), (99, 512)])
def test_the_more_epochs_there_are_the_longer_they_get(epochs: int, days: int) -> None:
    older = [row(n, DAY, recorded=True) for n in range(1, epochs)]
    assert not is_due([*older, row(epochs, days * DAY - 1)], SETTINGS)
    assert is_due([*older, row(epochs, days * DAY)], SETTINGS)
    assert not is_due([*older, row(epochs, 10 * MINUTE, days * GIB - 1)], SETTINGS)
    assert is_due([*older, row(epochs, 10 * MINUTE, days * GIB)], SETTINGS)


def test_at_the_bound_no_epoch_is_opened() -> None:
    assert not is_due([row(n, DAY**2, GIB**2) for n in range(100)], SETTINGS)


@pytest.mark.parametrize(
    ("needed", "scheduled", "dead"), [(0, 0, True), (49, 0, True), (50, 0, False), (25, 25, False)]
)
def test_a_rewrite_is_worth_it_when_it_halves_the_child(needed: int, scheduled: int, dead: bool) -> None:
    assert is_mostly_dead(Life(100, needed, scheduled)) is dead


@dataclass
class FakeEpochs:
    """Answers what it was given, and notes what is asked of it."""

    rows: list[EpochRow]
    lives: dict[int, Life] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    locked: int = 0
    copies: int = 2

    async def look(self) -> list[EpochRow]:
        return self.rows

    async def rotate(self, newest: int) -> int | None:
        self._take_lock(f"rotate {newest}")
        return newest + 1

    async def record(self, epoch: int, after: int) -> int | None:
        self.asked.append(f"record {epoch} {after}")
        return after + 1 if after < 2 else None

    async def expire(self, queue_id: int, after: int) -> Page:
        self.asked.append(f"expire {queue_id} {after}")
        return self.pages.pop(0)

    async def life(self, epoch: int) -> Life:
        self.asked.append(f"life {epoch}")
        return self.lives[epoch]

    async def empty(self, epoch: int) -> bool:
        self._take_lock(f"empty {epoch}")
        return True

    async def drop(self, epoch: int) -> bool:
        self._take_lock(f"drop {epoch}")
        return True

    async def copy(self, epoch: int) -> int | None:
        self.asked.append(f"copy {epoch}")
        self.copies -= 1
        return max(self.copies, 0)

    async def swap(self, epoch: int) -> bool:
        self._take_lock(f"swap {epoch}")
        return True

    async def drop_leftovers(self) -> int | None:
        self.asked.append("leftovers")
        return 0

    def _take_lock(self, what: str) -> None:
        self.asked.append(what)
        if self.locked > 0:
            self.locked -= 1
            raise errors.Contention("locked")


async def tick(store: FakeEpochs, stats: Stats, *, leading: bool = True) -> list[str]:
    store.asked.clear()
    await Upkeep(store, SETTINGS, stats, lambda: leading).tick()
    return list(store.asked)


@in_virtual_time
async def test_who_does_not_lead_asks_nothing() -> None:
    assert await tick(FakeEpochs([row()]), Stats(), leading=False) == []


@in_virtual_time
async def test_an_idle_tick_is_one_statement() -> None:
    store = FakeEpochs([row()])
    upkeep = Upkeep(store, SETTINGS, Stats(), lambda: True)
    await upkeep.tick()
    store.asked.clear()
    await upkeep.tick()
    assert store.asked == []
    assert upkeep.epochs == 1


@in_virtual_time
async def test_epochs_are_recorded_emptied_dropped_and_rewritten() -> None:
    stats = Stats()
    store = FakeEpochs(
        [row(1, recorded=True, emptied=True), row(2, recorded=True), row(3, recorded=True), row(4, recorded=True),
         row(5, closed=True), row(6)],
        {2: Life(10, 0, 0), 3: Life(10, 4, 0), 4: Life(10, 9, 0)},
    )  # fmt: skip
    assert await tick(store, stats) == [
        "record 5 0", "record 5 1", "record 5 2", "drop 1",
        "life 2", "empty 2", "drop 2", "life 3", "copy 3", "copy 3", "swap 3", "life 4", "leftovers",
    ]  # fmt: skip
    assert (stats.counters.epochs_dropped, stats.counters.epochs_rewritten) == (2, 1)


@in_virtual_time
async def test_a_lock_that_is_not_to_be_had_is_tried_again_and_counted() -> None:
    stats = Stats()
    store = FakeEpochs([row(1, DAY)], locked=2)
    assert (await tick(store, stats))[:3] == ["rotate 1"] * 3
    assert (stats.counters.upkeep_lock_timeouts, stats.counters.epochs_opened) == (2, 1)
    store.locked = 100
    assert (await tick(store, stats))[:4] == ["rotate 1"] * 4
    assert (stats.counters.upkeep_lock_timeouts, stats.counters.epochs_opened) == (6, 1)


@in_virtual_time
async def test_the_walk_over_partitions_goes_on_where_a_tick_ended() -> None:
    stats = Stats()
    pages = [Page(3, n, 200, 1) for n in range(1, 51)] + [Page(None, None, 7, 5), Page(None, None, 7, 0)]
    store = FakeEpochs([row(expiring=True)._replace(closed_ms=None)], pages=pages)
    upkeep = Upkeep(store, SETTINGS, stats, lambda: True)
    await upkeep.tick()
    assert stats.counters.messages_hidden == 50
    store.asked.clear()
    await upkeep.tick()
    await upkeep.tick()
    assert store.asked == ["expire 3 50", "expire 0 0"]
    assert stats.counters.messages_hidden == 55
