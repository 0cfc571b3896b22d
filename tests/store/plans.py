"""How PostgreSQL runs the statements inside the functions: captured by auto_explain, with the pages that each touched.

Also the data to try them on: ten thousand partitions with a million messages, made by a few statements.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.sql.client import Session, Signal

PARTITIONS = 10_000
MESSAGES_EACH = 100
HOT_TABLES = ("messages", "messages_1", "partitions", "cursors", "queues")

Node = dict[str, Any]


@dataclass
class Run:
    """One call of a function: the plans of the statements inside, the outermost last."""

    plans: list[Node] = field(default_factory=list)

    def nodes(self) -> Iterator[Node]:
        """Every node of the statements inside."""
        for plan in self.plans[:-1]:
            yield from _below(plan)

    @property
    def pages(self) -> int:
        """Pages touched by the call as a whole."""
        return int(self.plans[-1]["Shared Hit Blocks"] + self.plans[-1]["Shared Read Blocks"])

    def scans(self, *kinds: str) -> list[str]:
        """Tables of our own that are read in one of these ways."""
        return [
            f"{node['Node Type']} on {node['Relation Name']}"
            for node in self.nodes()
            if node["Node Type"] in kinds and node["Relation Name"] in HOT_TABLES
        ]

    def indexes(self) -> set[str]:
        """The indexes that were used."""
        return {str(node["Index Name"]) for node in self.nodes() if "Index Name" in node}

    def discarded(self) -> int:
        """Rows that were read and then thrown away."""
        return sum(
            int(node.get(kind, 0)) * int(node.get("Actual Loops", 1))
            for node in self.nodes()
            for kind in ("Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
            if "Index Name" in node or "Relation Name" in node
        )


def _below(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from _below(child)


class Watcher:
    """A session whose statements are explained to us. Raises psycopg.Error where auto_explain cannot be loaded."""

    def __init__(self, dsn: str, mode: str) -> None:
        self.session = Session(dsn)
        self._caught: list[Node] = []
        for statement in (
            "load 'auto_explain'",
            "set auto_explain.log_analyze = on",
            "set auto_explain.log_buffers = on",
            "set auto_explain.log_timing = off",
            "set auto_explain.log_nested_statements = on",
            "set auto_explain.log_format = json",
            "set auto_explain.log_level = notice",
            f"set plan_cache_mode = {mode}",
        ):
            self.session.rows(statement)
        self.session.connection.add_notice_handler(self._take)

    def _take(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        text = diagnostic.message_primary or ""
        if "plan:" in text:
            self._caught.append(json.loads(text[text.index("{") :])["Plan"])

    def run(self, hot: Hot, seed: int) -> Run:
        """One call, explained."""
        self._caught = []
        self.session.rows("set auto_explain.log_min_duration = 0")
        try:
            hot.call(self.session, seed)
        finally:
            # This statement's own plan is that of no function.
            caught, self._caught = self._caught, []
            self.session.rows("set auto_explain.log_min_duration = -1")
        return Run(caught)


def grow(session: Session, partitions: Sequence[int], queues: int = 10) -> None:
    """These partitions, with a hundred messages in each, and two groups that have read half of them.

    What was there before is removed, but not by TRUNCATE, which would throw cached plans away.
    """
    for table in ("queues", "partitions", "cursors", "messages"):
        session.rows(f"delete from {{s}}.{table}")
    ids = list(partitions)
    session.rows(
        "insert into {s}.queues (queue_id, name, dedup_window_s) select n, 'q' || n, 3600"
        " from generate_series(1, %s) n",
        queues,
    )
    session.rows(
        "insert into {s}.partitions (partition_id, next_offset, last_write_at, queue_id, epoch, name)"
        " select n, %s, now(), n %% %s + 1, 1, 'p' || n from unnest(%s::bigint[]) n",
        MESSAGES_EACH,
        queues,
        ids,
    )
    session.rows(
        "insert into {s}.messages_1"
        ' (partition_id, "offset", created_at, queue_id, epoch, once, transaction_id, payload)'
        " select p, o, now() - (%s - o) * interval '1 second', p %% %s + 1, 1, true,"
        " to_char(p, 'FM00000') || '-' || to_char(o, 'FM000'), '0'"
        " from unnest(%s::bigint[]) p, generate_series(0, %s) o",
        MESSAGES_EACH,
        queues,
        ids,
        MESSAGES_EACH - 1,
    )
    session.rows(
        "insert into {s}.cursors (partition_id, acked, lease_end, epoch, consumer_group)"
        " select p, 49, 49, 1, g from unnest(%s::bigint[]) p, unnest(array['g', 'h']) g",
        ids,
    )


def spread(count: int, seed: int) -> list[int]:
    """Partitions far apart. Seeds below 1,000 share none of them."""
    step = PARTITIONS // count
    return sorted((seed * 37 + n * step) % PARTITIONS + 1 for n in range(count))


@dataclass(frozen=True)
class Hot:
    """A call to try, and how many pages it may touch: what it writes and returns, times a few levels of an index."""

    name: str
    call: Callable[[Session, int], object]
    pages_max: int
    indexes: frozenset[str]


def _push(session: Session, seed: int, partitions: int, each: int) -> object:
    return session.push({p: [uuid.uuid4().hex for _ in range(each)] for p in spread(partitions, seed)})


def _thorough(session: Session, seed: int) -> object:
    return session.push_deduplicating({p: [f"{p:05}-007", uuid.uuid4().hex] for p in spread(10, seed)})


def _pop(session: Session, seed: int, partitions: int, batch: int) -> object:
    return session.pop(*spread(partitions, seed), group="g", batch=batch)


def _ack(session: Session, seed: int) -> object:
    return session.ack(*[Signal(p, None, "h", completed=60) for p in spread(10, seed)])


def _ack_failed(session: Session, seed: int) -> object:
    return session.ack_failed(*[Signal(p, None, "h", failed=70) for p in spread(10, seed)])


def _extend(session: Session, seed: int) -> object:
    return session.extend(*[(uuid.uuid4(), p, 60_000) for p in spread(10, seed)])


def _examine(session: Session, seed: int) -> object:
    ids = spread(10, seed)
    return session.call("examine", ("bigint[]", "text[]"), ids, ["g"] * 10)


def _locate(session: Session, seed: int) -> object:
    return session.locate(*[(p, f"{p:05}-063", 49, 99) for p in spread(10, seed)])


def _resolve(session: Session, seed: int) -> object:
    return session.resolve(*[(f"q{p % 10 + 1}", f"p{p}") for p in spread(10, seed)])


def _offset_at(session: Session, seed: int) -> object:
    return session.one("select {s}.offset_at(%s, now() - interval '50 seconds')", spread(1, seed)[0])


def _read_records(session: Session, seed: int) -> object:
    ids = spread(10, seed)
    types = ("text[]", "text[]", "bigint[]", "bigint[]", "bigint")
    names = ([f"q{p % 10 + 1}" for p in ids], [f"p{p}" for p in ids])
    return session.call("read_records", types, *names, [60] * 10, [300] * 10, 1 << 20)


def _changed_partitions(session: Session, seed: int) -> object:
    types = ("text[]", "timestamptz[]", "timestamptz[]", "text[]", "integer[]")
    return session.call("changed_partitions", types, [f"q{seed % 10 + 1}"], [None], [None], ["p3"], [20])


def _page(session: Session, seed: int) -> object:
    types = ("integer", "text", "bigint", "integer")
    return session.call("ready_partitions", types, seed % 10 + 1, "g", 0, 20)


def _count(session: Session, function: str, seed: int) -> object:
    return session.call(function, ("bigint[]",), spread(20, seed))


def _partition_stats(session: Session, seed: int) -> object:
    return session.call("partition_stats", ("integer", "integer", "integer"), seed % 10 + 1, 20, 0)


def _depth(session: Session, seed: int) -> object:
    types = ("integer", "text", "integer", "integer", "integer")
    return session.call("depth", types, seed % 10 + 1, "g", 20, 0, 10)


def _list_queues(session: Session, seed: int) -> object:
    types = ("text", "text", "text", "text", "integer", "integer")
    return session.call("list_queues", types, None, None, None, None, 5, seed % 3)


def _too_many(session: Session, seed: int) -> object:
    """Queues with far more partitions than are counted: to find that out is all it costs."""
    ids = [seed % 10 + 1, (seed + 1) % 10 + 1]
    return session.call("queue_numbers", ("integer[]", "integer", "boolean"), ids, 20, False)


def _refresh(session: Session, seed: int) -> object:
    """A page in the middle of a queue, which is not written then."""
    types = ("integer", "bigint", "integer", "text")
    return session.call("refresh_stats", types, seed % 10 + 1, 0, 20, None)


def _seek(session: Session, seed: int) -> object:
    """To the middle of each partition, by halves."""
    at = session.one("select now() - interval '50 seconds'")
    return session.call("seek", ("bigint[]", "text", "timestamptz"), spread(10, seed), "h", at)


def _seek_page(session: Session, seed: int) -> object:
    types = ("integer", "text", "timestamptz", "bigint", "integer")
    return session.call("seek_queue", types, seed % 10 + 1, "sought", None, PARTITIONS // 2, 20)


def _kept_group(session: Session, seed: int) -> None:
    """A walk came by, long ago."""
    session.rows(
        "insert into {s}.group_stats (queue_id, consumer_group, computed_at, members, partitions_with_lag,"
        " partitions_ready, total_lag, processing, consumed, oldest_pending_at)"
        " values (%s, 'h', now(), 1, 1, 1, 1, 0, false, '2000-01-01') on conflict do nothing",
        seed % 10 + 1,
    )


def _list_groups(session: Session, seed: int) -> object:
    _kept_group(session, seed)
    return session.call("list_groups", ("integer", "integer", "integer"), 20, 0, 0)


def _group_partitions(session: Session, seed: int) -> object:
    _kept_group(session, seed)
    return session.call("group_partitions", ("text", "integer", "integer", "integer"), "h", 20, 0, 0)


def _lagging(session: Session, seed: int) -> object:
    _kept_group(session, seed)
    types = ("bigint", "integer", "integer", "integer", "integer")
    return session.call("lagging_partitions", types, 0, 20, 0, 20, 0)


def _undelivered(session: Session, seed: int) -> object:
    types = ("integer[]", "bigint[]", "integer")
    return session.call("undelivered", types, [seed % 10 + 1, (seed + 1) % 10 + 1], [0, 0], 20)


_KEYS = frozenset({"messages_1_pkey", "partitions_pkey", "cursors_pkey"})
_COUNTED = frozenset({"partitions_pkey", "cursors_pkey"})
_TRANSACTION = "messages_1_transaction_id_partition_id_once_epoch_idx"

HOT = (
    Hot("push 1", lambda s, n: _push(s, n, 1, 1), 80, frozenset({"partitions_pkey"})),
    Hot("push 100 into 10", lambda s, n: _push(s, n, 10, 10), 2000, frozenset({"partitions_pkey"})),
    Hot("push_deduplicating 20 into 10", _thorough, 600, frozenset({"partitions_pkey", _TRANSACTION})),
    Hot("pop 1", lambda s, n: _pop(s, n, 1, 1), 60, _KEYS),
    Hot("pop 50 of 1", lambda s, n: _pop(s, n, 1, 50), 120, _KEYS),
    Hot("pop 10 of 10", lambda s, n: _pop(s, n, 10, 10), 200, _KEYS),
    Hot("pop 500 of 10", lambda s, n: _pop(s, n, 10, 500), 1000, _KEYS),
    Hot("ack 10", _ack, 150, frozenset({"cursors_pkey"})),
    Hot("ack_failed 10", _ack_failed, 300, frozenset({"cursors_pkey", "partitions_pkey"})),
    Hot("extend 10", _extend, 120, frozenset({"cursors_pkey"})),
    Hot("examine 10", _examine, 120, frozenset({"cursors_pkey", "partitions_pkey"})),
    Hot("locate 10", _locate, 100, frozenset({_TRANSACTION})),
    Hot("resolve 10", _resolve, 200, frozenset({"idx_partitions_name"})),
    Hot("read_records 10", _read_records, 300, frozenset({"messages_1_pkey", "idx_partitions_name"})),
    Hot("changed_partitions 20", _changed_partitions, 200, frozenset({"idx_partitions_name"})),
    Hot("offset_at", _offset_at, 120, frozenset({"messages_1_pkey"})),
    Hot("undelivered 2 of 20", _undelivered, 400, frozenset({"cursors_pkey", "idx_partitions_queue"})),
    Hot("ready_partitions 20", _page, 200, frozenset({"cursors_pkey", "idx_partitions_queue"})),
    Hot("count_queues 20", lambda s, n: _count(s, "count_queues", n), 300, _COUNTED),
    Hot("count_groups 20", lambda s, n: _count(s, "count_groups", n), 1200, _COUNTED | {"messages_1_pkey"}),
    Hot("partition_stats 20", _partition_stats, 800, _KEYS | {"idx_partitions_name"}),
    Hot("list_queues 5", _list_queues, 60, frozenset({"queues_name_key"})),
    Hot("queue_numbers, too many", _too_many, 120, frozenset({"idx_partitions_queue"})),
    Hot("depth 20", _depth, 300, frozenset({"cursors_pkey", "idx_partitions_name"})),
    Hot("seek 10", _seek, 2400, _KEYS),  # cursors move to pages with room, and each page holds seven
    Hot("seek_queue 20", _seek_page, 600, _COUNTED | {"idx_partitions_queue"}),
    Hot("list_groups 20", _list_groups, 200, frozenset({"idx_group_stats_group"})),
    Hot("group_partitions 20", _group_partitions, 1000, _KEYS - {"partitions_pkey"} | {"idx_partitions_queue"}),
    Hot("lagging_partitions 20", _lagging, 1000, _KEYS - {"partitions_pkey"} | {"idx_partitions_queue"}),
    Hot("refresh_stats 20", _refresh, 1500, _KEYS | {"idx_partitions_queue"}),
)
