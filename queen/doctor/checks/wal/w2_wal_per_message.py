"""W2: more log a message than the message and its indexes need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, NotSeen, Query, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.probes.server import ServerSample
from queen.doctor.shared import TABLES, WAL
from queen.doctor.wal import grown, image_bytes
from queen.store.inspect import Row

_MESSAGES_MIN: Final = 1000  # with fewer, heartbeats and statistics are most of the log
OVERHEAD_BYTES: Final = 450
"""Log of a message beside its payload: row, four indexes, and its share of pushing, popping and acking in batches.
Measured by our own bench: 265 bytes of payload, 700 bytes of log in requests of 100, 1,170 in requests of one."""
GROUP_BYTES: Final = 60
"""Log of an ack for each further group that reads every message."""

# The sizes as stored, for those are what is logged; the newest epoch, for it has the messages of now.
_PAYLOAD = """
SELECT avg(size)::float8 AS payload_bytes, count(*) AS sampled
  FROM (SELECT pg_column_size(payload) AS size FROM {schema}.messages
         WHERE epoch = (SELECT max(epoch) FROM {schema}.epochs) LIMIT 200) AS newest
"""
_GROUPS = "SELECT count(DISTINCT consumer_group) AS groups FROM {schema}.subscriptions"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when the log a message, without page images, is a multiple of what it should be."""
    log, messages = grown(seen), _messages(seen)
    payload = seen.row("payload").get("payload_bytes")
    if messages < _MESSAGES_MIN or payload is None:
        raise NotSeen(f"{messages:.0f} messages inside the window; {_MESSAGES_MIN} are needed", "run it under load")
    images = min(image_bytes(log["wal_fpi"], seen.facts.settings), log["wal_bytes"])
    each, expected = (log["wal_bytes"] - images) / messages, payload + OVERHEAD_BYTES + _for_groups(seen)
    severity = seen.limits["limit"].judge(each / expected)
    if severity is None:
        return
    yield Finding(
        severity,
        f"{each:.0f} bytes of log a message, {each / expected:.1f} × the {expected:.0f} that it should need",
        {
            "wal_bytes_per_message": round(each),
            "expected_bytes": round(expected),
            "image_bytes_per_message": round(images / messages),
            "payload_bytes": round(payload),
            "messages": round(messages),
            "groups": seen.row("groups")["groups"],
            "window_s": round(seen.window_s, 1),
        },
        "Push and ack in larger batches; drop indexes on messages that Queen did not make (I3 to I5 name them).",
        object=f"{seen.facts.schema}.messages",
        threshold=seen.limits["limit"],
        at_stake=stake.wal_ceiling(log["wal_bytes"] / messages, expected + images / messages),
    )


def _for_groups(seen: Seen) -> int:
    return GROUP_BYTES * max(0, int(seen.row("groups")["groups"]) - 1)


def _messages(seen: Seen) -> float:
    """Messages that went through: the most of those stored by anybody, pushed by the server, acked by the server."""
    return max(_stored(seen), _counted(seen, "push_messages"), _counted(seen, "ack_messages"))


def _stored(seen: Seen) -> float:
    """Rows that came into the children of `messages`; one made inside the window counts whole."""
    before = {row["relid"]: row["n_tup_ins"] for row in seen.first["tables"]}
    return float(sum(max(0, row["n_tup_ins"] - before.get(row["relid"], 0)) for row in _children(seen.rows("tables"))))


def _children(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["relispartition"] and row["relname"].startswith("messages")]


def _counted(seen: Seen, name: str) -> float:
    return max(0.0, _counter(seen.server, name) - _counter(seen.server_before, name)) if seen.server_before else 0.0


def _counter(sample: ServerSample | None, name: str) -> float:
    counters: Mapping[str, Any] = sample.metrics.get("counters", {}) if sample else {}
    return float(counters.get(name, 0))


CHECK = Check(
    id="W2",
    group="wal",
    title="Log written for a message",
    why="The disk writes so many bytes of log a second and no more: what a message takes of it is the ceiling of the "
    "rate.",
    false_positive="Other programs that write to the same server: the log is counted for all of them.",
    explain="""\
The bytes of log written inside the window, less what full-page images can have taken (W3 looks at those), are divided
by the messages of the window: what was stored in the children of messages, or what the server says it pushed or acked,
whichever is most.

A message of P bytes needs about P + 450: the row, its four indexes, and its share of the small rows that a push, a pop
and an ack change; each group after the first adds 60. P is the mean of what the first 200 messages of the newest epoch
take in storage.

Three times that has a reason: requests of one message each on a server that cannot batch them, further indexes, long
transaction ids, or another program that writes.""",
    evaluate=evaluate,
    queries={"wal": WAL, "tables": TABLES, "payload": Query(_PAYLOAD, once=True), "groups": Query(_GROUPS, once=True)},
    thresholds={"limit": Threshold(3.0, 6.0, "× (payload + 450 bytes)")},
    needs=(needs.schema, needs.primary),
    delta=True,
)
