"""The observer of one run: it follows the system through faults, and tells at the end what the record needs.

What is seen, `observe` knows; what it means, `why` and `costs`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import msgspec

from queen.bench.observe import Observer
from queen.bench.payload import partition_name, transaction_id
from queen.bench.result import Anomaly, LedgerReport
from queen.bench.seen import Seen
from queen.bench.target import System

VIEWS_MAX = 20
"""Anomalies that the server is asked about."""
_VIEWS_S = 10.0


class OtherSide:
    """Start before the load, stop after the drain; then ask. `close` belongs on every path."""

    def __init__(self, system: System, zero_s: int) -> None:
        self._system, self._zero_s = system, zero_s
        self._observer = Observer(system.urls, system.dsn, self._pids(), schema=system.schema)

    async def start(self) -> None:
        await self._observer.start()
        self._observer.clock_zero_ns = self._zero_s * 10**9

    def follow(self) -> None:
        """The processes may be others now."""
        self._observer.follow(self._pids())

    async def stop(self) -> None:
        await self._observer.stop()

    async def close(self) -> None:
        """Stop, and leave no session behind."""
        await self._observer.stop()
        if self._observer.probe is not None:
            await self._observer.probe.close()

    def seen(self, from_s: int, to_s: int, *, slice_s: int, slices: int) -> Seen:
        """Of the measured seconds of the run's clock; `slices` parts of `slice_s` seconds from its beginning on."""
        observer, span = self._observer, (float(from_s), float(to_s))
        values, waits = observer.series()
        server = observer.server_side(*span)
        known = server.counters or server.durability or server.cpu_s is not None
        parts = [observer.insert(from_s + n * slice_s, from_s + (n + 1) * slice_s) for n in range(slices)]
        return Seen(
            server=server if known else None,
            postgres=observer.postgres_side(*span),
            values=values,
            waits=waits,
            insert=observer.insert(*span),
            insert_slices=parts,
            pool_size=self._largest("pool_size"),
            server_workers=max(1, int(self._largest("workers") or 1)),
            cores=os.cpu_count() or 1,
            notes=list(observer.notes),
        )

    async def explain(self, ledger: LedgerReport, queue: str, run_id: str, partitions: int) -> LedgerReport:
        """The same report, with the server's view beside the first anomalies. Takes seconds at most."""
        if not ledger.anomalies:
            return ledger
        views: list[str] = []
        try:
            async with asyncio.timeout(_VIEWS_S):
                for one in ledger.anomalies[:VIEWS_MAX]:
                    views.append(await self._view(one, queue, run_id, partitions))
        except TimeoutError:
            pass
        explained = [
            msgspec.structs.replace(one, server=view or None)
            for one, view in zip(ledger.anomalies, views, strict=False)
        ]
        return msgspec.structs.replace(ledger, anomalies=explained + ledger.anomalies[len(views) :])

    async def _view(self, one: Anomaly, queue: str, run_id: str, partitions: int) -> str:
        """Empty for what names no message."""
        if not one.partition.isdecimal() or one.sequence < 0:
            return ""
        key = int(one.partition)
        partition = partition_name(key % partitions)
        return await self._observer.view(queue, partition, transaction_id(run_id, key, one.sequence))

    def _pids(self) -> Sequence[int]:
        return [server.pid for server in self._system.servers if server.pid is not None]

    def _largest(self, name: str) -> float | None:
        """Of all servers together, the largest that was seen."""
        found = [track.columns.largest(name, 0, 1 << 62) for track in self._observer.servers]
        known = [value for value in found if value is not None]
        return sum(known) if known else None
