"""What checks of connections share: the sum of who may need how many, and what a server tells of its pools.

The three sides of one budget: PostgreSQL (`max_connections`), a pooler (its console), and every live process of Queen
(its row in `instances`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from queen.doctor.check import Query, Seen
from queen.doctor.needs import Ground, Missing
from queen.doctor.probes.server import ServerSample
from queen.measure.buckets import BUCKETS, Buckets
from queen.store.budget import EXTRA, Budget
from queen.store.inspect import Row

INSTANCES: Final = Query(
    """
SELECT instance_id::text AS instance, pool_size, version,
       EXTRACT(epoch FROM clock_timestamp() - started_at)::float8 AS age_s
  FROM {schema}.instances WHERE seen_at > clock_timestamp() - interval '5 seconds'
 ORDER BY started_at, instance_id
""",
    once=True,
)
SESSIONS: Final = Query(
    """
SELECT coalesce(usename::text, '') AS role, application_name AS application, coalesce(state, '') AS state,
       count(*)::int AS sessions
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
 GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3
""",
    once=True,
)


@dataclass(frozen=True, slots=True)
class Sum:
    """Who may need how many connections of `max_connections`. `through_pooler`: what a pooler may open, where the
    servers of Queen go through one; their own pools take none then."""

    instances: Sequence[Row]
    pooled: bool
    through_pooler: int
    others: int
    reserved: int
    max_connections: int

    @property
    def queen(self) -> int:
        """What the processes of Queen may take: the pool of each, its listener, and one for administration."""
        return sum(EXTRA + (0 if self.pooled else row["pool_size"]) for row in self.instances)

    @property
    def needed(self) -> int:
        return self.queen + self.through_pooler + self.others + self.reserved

    def budget(self, pool_size: int, workers: int) -> Budget:
        """The same as a server reckons it that has a pool of this size in so many processes; others are taken to be
        like it."""
        servers = max(1, round(len(self.instances) / max(1, workers)))
        extra = EXTRA * max(0, len(self.instances) - servers)
        others = self.others + self.through_pooler + extra
        return Budget(pool_size, servers, self.max_connections, self.reserved, others, self.pooled)

    def evidence(self) -> dict[str, Any]:
        """The sum, item by item."""
        return {
            "max_connections": self.max_connections,
            "needed": self.needed,
            "reserved": self.reserved,
            "others_now": self.others,
            "queen": [{"instance": row["instance"], "pool_size": row["pool_size"]} for row in self.instances],
            "extra_each": EXTRA,
            "through_pooler": self.through_pooler if self.pooled else None,
        }


def add_up(seen: Seen, instances: Sequence[Row], sessions: Sequence[Row]) -> Sum:
    """The sum of the moment. Others count with what they have open."""
    settings = seen.facts.settings
    pooled = goes_through_pooler(seen)
    own = sum(row["sessions"] for row in sessions if _is_ours(row["application"]))
    return Sum(
        instances=instances,
        pooled=pooled,
        through_pooler=_pooler_most(seen, own) if pooled else 0,
        others=sum(row["sessions"] for row in sessions if not _is_ours(row["application"])),
        reserved=reserved(seen),
        max_connections=int(settings.number("max_connections")),
    )


def reserved(seen: Seen) -> int:
    """Connections that ordinary roles do not get."""
    settings = seen.facts.settings
    # 16 has a second reserve, for members of pg_use_reserved_connections.
    return int(settings.number("superuser_reserved_connections") + settings.number("reserved_connections"))


def goes_through_pooler(seen: Seen) -> bool:
    """Whether servers of Queen reach PostgreSQL through a pooler: by their own word, else by our own way."""
    pool = pool_of(seen.server)
    if pool:
        return bool(pool.get("pooler"))
    return bool(seen.pooler and seen.pooler.between)


def pool_of(sample: ServerSample | None) -> Mapping[str, Any]:
    """What the process that answered says of its own pool; empty without a server."""
    found = sample.status.get("pool") if sample is not None else None
    return found if isinstance(found, Mapping) else {}


def connections_of(sample: ServerSample | None) -> Mapping[str, Any]:
    """What the instance says of all its pools; empty without a server that keeps a history."""
    found = sample.history.get("connections") if sample is not None else None
    return found if isinstance(found, Mapping) else {}


def troubles_of(sample: ServerSample | None) -> Mapping[str, int]:
    """How often each kind of trouble with connections happened since the start of the instance."""
    found = sample.history.get("pool", {}).get("totals") if sample is not None else None
    return found if isinstance(found, Mapping) else {}


def history(ground: Ground) -> Missing | None:
    """A need: a server that keeps a history."""
    if ground.server is None or ground.server.history:
        return None
    return Missing(f"the server at {ground.server.url} keeps no history", "run the newest queen serve")


def times_between(before: Mapping[str, Any], now: Mapping[str, Any]) -> Buckets | None:
    """Times of calls that a server counted between two looks, in µs; None where it was started anew meanwhile."""
    earlier, later = _buckets(before), _buckets(now)
    grown = later.minus(earlier)
    return grown if grown.sum >= 0 and all(count >= 0 for count in grown.counts) else None


def times_of(told: Mapping[str, Any]) -> Buckets:
    """Times of calls since the start of the instance, in µs."""
    return _buckets(told)


def _buckets(told: Mapping[str, Any]) -> Buckets:
    counts = [int(count) for count in told.get("counts", ())][:BUCKETS]
    return Buckets(counts + [0] * (BUCKETS - len(counts)), int(told.get("sumUs", 0)))


def _pooler_most(seen: Seen, open_now: int) -> int:
    """Connections that a pooler may open: for each database and role its pool. Without a console, what is open."""
    if seen.pooler is None or not seen.pooler.admin:
        return open_now
    sizes = {str(row["name"]): int(row.get("pool_size") or 0) for row in seen.pooler.databases}
    default = int(seen.pooler.config.get("default_pool_size", "0") or 0)
    return sum(sizes.get(str(pool["database"]), default) for pool in seen.pooler.pools)


def _is_ours(application: str | None) -> bool:
    return (application or "").startswith("queen")
