"""M3: pages of the queue that are not in PostgreSQL's buffers when they are needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, NotSeen, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.wal import megabytes
from queen.store.inspect import Row

_ACCESSES_MIN: Final = 5_000  # fewer are a moment, not a working set
_READS_MIN: Final = 500
_NAMED: Final = 3
_EXTENDING_IS_NO_READ: Final = 160000  # before, each page that a table grew by was counted as read

_BLOCKS = """
SELECT format('%I.%I', s.schemaname, s.relname) AS name, s.relid,
       s.heap_blks_hit + coalesce(s.idx_blks_hit, 0) + coalesce(s.toast_blks_hit, 0)
         + coalesce(s.tidx_blks_hit, 0) AS hits,
       s.heap_blks_read + coalesce(s.idx_blks_read, 0) + coalesce(s.toast_blks_read, 0)
         + coalesce(s.tidx_blks_read, 0) AS reads,
       coalesce(pg_total_relation_size(s.relid), 0) / current_setting('block_size')::bigint AS pages
  FROM pg_statio_all_tables s WHERE s.schemaname = {schema_name}
"""


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for all tables of the schema, which names those that are read most."""
    rows = [_read(seen, row) for row in seen.changes("blocks", "relid", "hits", "reads")]
    hits, reads = sum(row["hits"] for row in rows), sum(row["reads"] for row in rows)
    if hits + reads < _ACCESSES_MIN:
        raise NotSeen(
            f"{hits + reads} pages asked for inside the window; {_ACCESSES_MIN} are needed", "run it under load"
        )
    ratio = hits / (hits + reads)
    severity = seen.limits["limit"].judge_low(ratio)
    if severity is None or reads < _READS_MIN:
        return
    most = sorted(rows, key=lambda row: -row["reads"])[:_NAMED]
    yield Finding(
        severity,
        f"{ratio:.1%} of the pages that Queen's tables need are in PostgreSQL's buffers",
        {
            "hit_ratio": round(ratio, 4),
            "pages_read": reads,
            "pages_hit": hits,
            "read_most": {row["name"]: row["reads"] for row in most if row["reads"]},
            "shared_buffers_MB": megabytes(seen.facts.settings.bytes("shared_buffers")),
            "window_s": round(seen.window_s, 1),
        },
        "Let consumers catch up: the newest messages are still in the buffers. Else raise shared_buffers (M1).",
        object=most[0]["name"],
        threshold=seen.limits["limit"],
        at_stake=stake.wait_share(seen.waits.share("IO:DataFileRead")),
    )


def _read(seen: Seen, row: Row) -> Row:
    """The same with real reads only: before 16 a page that a table grew by counts as one."""
    if seen.facts.version >= _EXTENDING_IS_NO_READ:
        return row
    before = next(old["pages"] for old in seen.first["blocks"] if old["relid"] == row["relid"])
    return {**row, "reads": max(0, row["reads"] - max(0, row["pages"] - before))}


CHECK = Check(
    id="M3",
    group="memory",
    title="Pages of the queue that are not in the buffers",
    why="A consumer that reads what is no longer in memory waits for the disk, and takes a connection meanwhile.",
    false_positive="The first minute after a start; consumers that read old messages on purpose.",
    explain="""\
For every table of Queen's schema PostgreSQL counts the pages that were found in its buffers and those that were not,
with indexes and TOAST. Both are read twice and compared. Up to version 15 a page that a table grows by is counted as
read: the growth is taken off.

A queue reads what was written a moment ago, so nearly everything should be found. When it is not, the backlog is deeper
than the buffers, or the buffers are small. What PostgreSQL does not find may still be in the system's cache: the
throughput at stake is what sessions were seen waiting for, not the ratio.""",
    evaluate=evaluate,
    queries={"blocks": Query(_BLOCKS)},
    thresholds={"limit": Threshold(0.99, 0.95, "of the pages")},
    needs=(needs.schema,),
    delta=True,
)
