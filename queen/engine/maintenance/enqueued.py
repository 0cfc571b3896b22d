"""Messages that callers enqueue in their own transactions: given their place as soon as the transaction has committed.

The leader alone does it. A notification that comes with the caller's commit wakes it; where none can be heard, it looks
every now and then, more often after something was found. It remembers which transactions it has seen the end of and
asks for the others only: what was placed is still in the way of a look while some old transaction is open. A look at
all is taken when it begins to lead or to listen, after a failure, and once a minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from queen import errors
from queen.engine.catalog import Catalog
from queen.engine.hearing import Hearing
from queen.engine.maintenance.loop import Background, wait_until
from queen.engine.mode import operation_bytes_max, operation_messages_max
from queen.engine.stats import Stats
from queen.settings import EngineSettings
from queen.store.enqueued import BEGINNING, NOTHING_SEEN, EnqueuedCalls, Moved, Seen

log = logging.getLogger(__name__)

_GATHER_S = 0.02
_AGAIN_S = 0.1
_FAILED_PAUSE_S = 1.0
_LEAD_CHECK_S = 1.0
_DEAF_FIRST_S, _DEAF_MAX_S = 0.1, 2.0
# A notification is lost with its connection alone, and then the listener says so, by its own question at the latest.
_LISTENING_S = 20.0
_WHOLE_LOOK_S = 60.0
_SKIPPED_MAX = 1000


class Enqueued(Background):
    """The loop: start, stop, tick."""

    name = "enqueued"

    def __init__(
        self,
        store: EnqueuedCalls,
        catalog: Catalog,
        stats: Stats,
        settings: EngineSettings,
        hearing: Hearing,
        leading: Callable[[], bool],
        note_due: Callable[[int], None],
    ) -> None:
        """`note_due` is told how long it takes until a message that was stored for later is due."""
        self._store = store
        self._catalog = catalog
        self._counters = stats.counters
        self._hearing = hearing
        self._leading = leading
        self._note_due = note_due
        self._limit = operation_messages_max(settings)
        self._bytes_max = operation_bytes_max(settings)
        self._deaf_s = _DEAF_FIRST_S
        self._clock = asyncio.get_running_loop()
        self._seen = NOTHING_SEEN
        self._whole_at = self._next_at = self._clock.time()
        self._woken = asyncio.Event()
        hearing.on_enqueued = self.wake

    def wake(self, anew: bool = False) -> None:
        """A caller's transaction has committed; `anew`: some may have that nobody told of."""
        self._next_at = self._clock.time()
        if anew:
            self._whole_at = self._next_at
        self._woken.set()

    async def tick(self) -> None:
        """Place all that is there. Raises what the store raises."""
        began_at = self._clock.time()
        if began_at >= self._whole_at:
            self._seen = NOTHING_SEEN
            self._whole_at = began_at + _WHOLE_LOOK_S
        seen: Seen | None = None
        after, skip, found = BEGINNING, list[tuple[str, str]](), False
        while True:
            moved = await self._store.place_enqueued(self._limit, self._bytes_max, self._seen, after, skip)
            await self._learn(moved)
            found = found or bool(moved.placed)
            skip += moved.blocked
            seen = seen or moved.seen
            if moved.more_behind is None or len(skip) > _SKIPPED_MAX:
                break
            after = moved.more_behind
        if moved.placed is None or skip:
            self._look_in(_AGAIN_S)  # What was left is found by the same look again.
        else:
            self._seen = seen
            self._look_in(self._pause_s(found))

    def _pause_s(self, found: bool) -> float:
        if self._hearing.listening:
            return _LISTENING_S
        self._deaf_s = _DEAF_FIRST_S if found else min(2 * self._deaf_s, _DEAF_MAX_S)
        return self._deaf_s

    def _look_in(self, seconds: float) -> None:
        if not self._woken.is_set():
            self._next_at = self._clock.time() + seconds

    async def _learn(self, moved: Moved) -> None:
        self._counters.enqueued_placed += moved.placed or 0
        self._counters.enqueued_duplicates += moved.duplicates or 0
        if moved.due_ms is not None:
            self._note_due(moved.due_ms)
        # Polls wait for messages of partitions that this server never heard of, here and elsewhere.
        await self._catalog.find_partitions(moved.partition_ids)
        self._catalog.note_heads(moved.partition_ids, moved.heads)

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            if not self._leading():
                # Whoever leads next looks at all.
                self._seen, self._next_at = NOTHING_SEEN, self._clock.time()
                await wait_until(self._next_at + _LEAD_CHECK_S, self._woken)
            elif self._clock.time() >= self._next_at:
                await self._try()
                # What is committed within this time is placed together.
                await asyncio.sleep(_GATHER_S)
            else:
                await wait_until(min(self._next_at, self._clock.time() + _LEAD_CHECK_S), self._woken)

    async def _try(self) -> None:
        try:
            await self.tick()
            return
        except errors.Contention as error:
            log.debug("tick broke off loop=%s error=%s", self.name, error)  # An epoch came or went meanwhile.
            self._look_in(_AGAIN_S)
            return
        except errors.StoreUnavailable as error:
            log.debug("tick failed loop=%s error=%s", self.name, error)  # The pool tells of an outage, once for all.
        except errors.QueenError as error:
            log.warning("tick failed loop=%s error=%s", self.name, error)
        except Exception:
            log.exception("tick failed loop=%s", self.name)
        self._seen = NOTHING_SEEN
        self._next_at = self._clock.time() + _FAILED_PAUSE_S
