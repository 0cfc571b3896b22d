"""The heartbeat: this server says that it runs, hears how many others do, and whether it leads.

The leader does what one server does for all. Two never lead at once: the database's clock ends a lease, and here it
counts from before the call that renewed it, so that it is over here before anybody else can take it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable

from queen import errors
from queen.engine.maintenance.loop import Loop
from queen.engine.outbox import Outbox
from queen.store.cluster import ClusterStore

log = logging.getLogger(__name__)

BEAT_S = 1.0
_TRIM_EVERY_S = 10.0
_LEAVE_S = 2.0


class Presence:
    """This server among the others."""

    def __init__(
        self,
        store: ClusterStore,
        instance_id: uuid.UUID,
        outbox: Outbox,
        lease_ms: int,
        on_peers: Callable[[], None],
    ) -> None:
        """`on_peers` is called when there are others of which this server may have missed something."""
        self.instance_id = instance_id
        self.peers = 0
        self._store = store
        self._outbox = outbox
        self._lease_ms = lease_ms
        self._on_peers = on_peers
        self._clock = asyncio.get_running_loop()
        self._leads_until = 0.0
        self._trimmed_at = 0.0
        self._known = False
        self._said = False
        self.on_paused: Callable[[bool, int], None] = _ignore
        """Told at each beat whether pops pause, and as of which change."""
        self._loop = Loop("beat", self.tick, BEAT_S, at_once=True)

    @property
    def leading(self) -> bool:
        """Does this server lead just now? False as soon as the lease could have run out."""
        return self._clock.time() < self._leads_until

    def start(self) -> None:
        """Begin to beat."""
        self._loop.start()

    async def stop(self) -> None:
        """Stop to beat, and say so, if the database can hear it soon."""
        await self._loop.stop()
        self._leads_until = 0.0
        if self._known:
            try:
                async with asyncio.timeout(_LEAVE_S):
                    await self._store.leave(self.instance_id)
            except (errors.QueenError, TimeoutError) as error:
                log.info("left without a word error=%s", error)

    async def tick(self) -> None:
        """One beat. While the database is away there is none, and the lead ends by itself."""
        began_at = self._clock.time()
        try:
            beat = await self._store.beat(self.instance_id, self._lease_ms)
        except errors.StoreUnavailable as error:
            log.debug("no beat error=%s", error.message)  # The pool tells of an outage, once for all.
            return
        self._known = True
        self.on_paused(beat.pops_paused, beat.pause_version)
        self._leads_until = began_at + self._lease_ms / 1000 if beat.leading else 0.0
        if beat.leading != self._said:
            self._said = beat.leading
            log.info("%s instance=%s", "leads" if beat.leading else "leads no more", self.instance_id)
        came, self.peers = beat.peers and (beat.fresh or not self.peers), beat.peers
        if not beat.peers:
            self._outbox.close()
        elif came:
            self._outbox.open = True
            if beat.fresh:
                self._outbox.hello()
            self._on_peers()
        await self._trim()

    def met(self) -> None:
        """Another server has just said that it runs; it has told of everything since it began."""
        if not self.peers:
            self.peers = 1
            self._outbox.open = True

    async def _trim(self) -> None:
        """The leader keeps the announcements few, as long as there are any."""
        now = self._clock.time()
        if self.leading and self.peers and now - self._trimmed_at > _TRIM_EVERY_S:
            self._trimmed_at = now
            await self._store.trim_changes()


def _ignore(_: bool, __: int) -> None:
    """Nobody wants to know whether pops pause."""
