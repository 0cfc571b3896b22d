"""S1: a call of the message plane has become dearer than it was in the days before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec

from queen.doctor import needs
from queen.doctor.check import Check, Memo, Query, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.stake import statement_share
from queen.errors import CannotLook
from queen.store.inspect import Row

LONGER_MS_MIN: Final = 0.1
"""Five times of next to nothing is next to nothing."""
MORE_BLOCKS: Final = 1.5
"""From here on the time goes into reading more, and not into waiting."""

# What calls of Queen's functions cost in all, and what they cost in earlier hours of the last week: the leading server
# writes it down by the hour. The hour that runs and the one before it are left out.
_TOTALS = "SELECT name, calls::float8 AS calls, total_ms, blocks FROM {schema}.statement_totals()"
_BASELINES = """
SELECT b.name, b.hours, b.calls::float8 AS calls, b.mean_ms, b.best_ms, b.blocks, m.messages::float8 AS messages
  FROM {schema}.statement_baselines(1000) b
  LEFT JOIN LATERAL (
        SELECT sum(CASE b.name WHEN 'push' THEN a.push_messages WHEN 'pop' THEN a.pop_messages
                               WHEN 'ack' THEN a.ack_success + a.ack_failed END) AS messages
          FROM (SELECT t.bucket, t.push_messages::bigint, t.pop_messages, t.ack_success, t.ack_failed
                  FROM {schema}.activity t WHERE t.queue_id = 0
                UNION ALL
                SELECT t.bucket, t.push_messages, t.pop_messages, t.ack_success, t.ack_failed
                  FROM {schema}.activity_hours t WHERE t.queue_id = 0) a
          JOIN {schema}.statement_hours h ON h.bucket = date_trunc('hour', a.bucket)
         WHERE h.name = b.name AND h.calls >= 1000
           AND h.bucket < date_trunc('hour', clock_timestamp()) - interval '1 hour') m ON true
"""
_STATE = "SELECT dealloc, stats_reset FROM pg_stat_statements_info"

_Some = Annotated[float, msgspec.Meta(gt=0)]


class Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What calls of a function cost when a baseline file was written: in the hours of the server's history, or, with
    `hours` null, in the window of that run. `messages`: what they carried; null: not known."""

    name: str
    calls: _Some
    mean_ms: _Some
    best_ms: _Some
    blocks: Annotated[float, msgspec.Meta(ge=0)]
    hours: Annotated[int, msgspec.Meta(ge=1)] | None
    messages: Annotated[float, msgspec.Meta(ge=0)] | None


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each function whose calls take much longer than they used to."""
    if _was_reset(seen):
        raise CannotLook("pg_stat_statements was reset inside the window", hint="run it again")
    baselines = _baselines(seen)
    if not baselines:
        raise CannotLook(
            "there is no baseline: no whole hour of the last week with 1,000 calls is written down",
            hint="let queen serve run for three hours; or, while all is well: queen doctor --save-baseline FILE, and "
            "--baseline FILE later",
        )
    called = _called(seen)
    whole_ms = sum(row["total_ms"] for row in called)
    enough = [row for row in called if row["name"] in baselines and seen.limits["calls"].judge(row["calls"])]
    if not enough:
        least = seen.limits["calls"].warn or 0
        raise CannotLook(
            f"no function was called {least:.0f} times inside the window", hint="queen doctor --window 60s"
        )
    for row in enough:
        yield from _compare(seen, row, baselines[row["name"]], whole_ms)


def usual(seen: Seen) -> Iterable[Usual]:
    """What a baseline file keeps: the history of the server; of functions that have none, this window."""
    if _was_reset(seen):
        return
    written = _written(seen)
    for row in written.values():
        yield Usual(**{name: row[name] for name in Usual.__struct_fields__})
    for row in _called(seen):
        if row["name"] not in written and row["total_ms"] > 0 and seen.limits["calls"].judge(row["calls"]):
            mean_ms, handled = row["total_ms"] / row["calls"], _handled_in_window(seen, row["name"])
            yield Usual(row["name"], row["calls"], mean_ms, mean_ms, row["blocks"] / row["calls"], None, handled)


def _baselines(seen: Seen) -> dict[str, Row]:
    """By function: from the server's history, else from the user's baseline file."""
    remembered = {one.name: {**msgspec.structs.asdict(one), "from": _FILE} for one in seen.memos.get("S1", ())}
    return {**remembered, **_written(seen)}


def _written(seen: Seen) -> dict[str, Row]:
    rows = [row for row in seen.rows("baselines") if row["mean_ms"] > 0]
    return {row["name"]: {**row, "from": _HISTORY} for row in rows}


_FILE: Final = "the baseline file"
_HISTORY: Final = "the server's history"


def _was_reset(seen: Seen) -> bool:
    return seen.rows("state") != [] and seen.row("state")["stats_reset"] != seen.first["state"][0]["stats_reset"]


def _called(seen: Seen) -> list[Row]:
    return [row for row in seen.changes("totals", "name", "calls", "total_ms", "blocks") if row["calls"] > 0]


def _compare(seen: Seen, row: Row, base: Row, whole_ms: float) -> Iterable[Finding]:
    limit = seen.limits["limit"]
    mean_ms = row["total_ms"] / row["calls"]
    larger = _larger_batches(seen, row, base)
    expected_ms = base["mean_ms"] * (larger or 1.0)
    severity = limit.judge(mean_ms / max(expected_ms, 1e-6))
    if severity is None or mean_ms - expected_ms < LONGER_MS_MIN:
        return
    blocks = row["blocks"] / row["calls"]
    reads_more = blocks > MORE_BLOCKS * max(base["blocks"], 1.0) * (larger or 1.0)
    yield Finding(
        severity,
        f"{row['name']}() takes {mean_ms:.2f} ms a call, {mean_ms / expected_ms:.1f} × what it took before",
        {
            "mean_ms": round(mean_ms, 3),
            "baseline_ms": round(base["mean_ms"], 3),
            "best_hour_ms": round(base["best_ms"], 3),
            "blocks_per_call": round(blocks, 1),
            "baseline_blocks": round(base["blocks"], 1),
            "calls": int(row["calls"]),
            "baseline_hours": base["hours"],
            "baseline_from": base["from"],
            "batches_larger_by": round(larger, 2) if larger is not None else None,
            **_evicted(seen),
        },
        _MORE if reads_more else _SLOWER,
        object=row["name"],
        threshold=limit,
        at_stake=statement_share(row["total_ms"] / whole_ms, mean_ms, expected_ms),
        fix=_vacuum(seen) if reads_more else None,
    )


_MORE: Final = (
    "It reads more than it used to: look for dead rows (V1) and who keeps them (V4), an index that is missing or "
    "bloated (I5, I6), old planner statistics; then vacuum the small tables that it works on."
)
_SLOWER: Final = (
    "It reads no more than before, so it waits: the groups locks and wal tell for what, S9 for a processor."
)


def _larger_batches(seen: Seen, row: Row, base: Row) -> float | None:
    """How many times more messages a call carries now than then, 1 at least; None when one of both is not known. A
    call that does more may take longer."""
    handled = _handled_in_window(seen, row["name"])
    if not base["messages"] or handled is None:
        return None
    return float(max(1.0, handled / row["calls"] / (base["messages"] / base["calls"])))


def _handled_in_window(seen: Seen, name: str) -> float | None:
    """Messages that this function handled between the two looks at the server; None without one."""
    now, before = (_handled(sample) for sample in (seen.server, seen.server_before))
    return max(0.0, now[name] - before[name]) if name in now and name in before else None


def _handled(sample: Any) -> Mapping[str, float]:
    """Messages by function, as a server counts them."""
    counters = sample.metrics.get("counters", {}) if sample is not None else {}
    names = {"push": "push_messages", "pop": "pop_messages", "ack": "ack_messages"}
    return {name: float(counters[counter]) for name, counter in names.items() if counter in counters}


def _evicted(seen: Seen) -> Mapping[str, int]:
    """Entries that were thrown away for want of room: then totals of rare statements are too small."""
    grown = seen.row("state")["dealloc"] - seen.first["state"][0]["dealloc"] if seen.rows("state") else 0
    return {"entries_thrown_away": int(grown)} if grown else {}


def _vacuum(seen: Seen) -> Fix:
    schema = '"' + seen.facts.schema.replace('"', '""') + '"'
    return Fix(
        "A",
        (f"VACUUM (ANALYZE) {schema}.partitions", f"VACUUM (ANALYZE) {schema}.cursors"),
        note="A vacuum has no way back and needs none.",
    )


CHECK = Check(
    id="S1",
    group="statements",
    title="Calls that became dearer",
    why="The same push, pop or ack that takes twice as long halves what a connection can carry.",
    false_positive="Much larger batches than in the days before, where no server is asked that could tell (--url).",
    explain="""\
The leading server writes down by the hour what calls of Queen's functions cost, from pg_stat_statements, and keeps it
for a week. This check compares the calls inside its window with the median of the whole hours that had a thousand calls
or more; the hour that runs and the one before it are left out, so that what is slow now does not become the measure.

Where the server has written down no such hour yet, --baseline FILE serves: the file has what --save-baseline found, the
hours of that time or else the calls of its window.

A call that carries more messages may take longer. With a server to ask, the messages of a call now and then are
compared, and the baseline is raised by as much. A tenth of a millisecond is never judged, nor are fewer than a hundred
calls.

When a call reads more blocks too, the cause lies in the tables: dead rows, indexes, a plan. Otherwise it waits.""",
    evaluate=evaluate,
    queries={
        "totals": Query(_TOTALS, optional=True),
        "baselines": Query(_BASELINES, optional=True),
        "state": Query(_STATE, optional=True),
    },
    thresholds={"limit": Threshold(2, 5, "× the baseline"), "calls": Threshold(100, None, "calls")},
    needs=(needs.tables, needs.statements),
    delta=True,
    memo=Memo(Usual, usual),
)
