"""When Queen's tables are vacuumed and how full their pages are: the figures that the schema, the plans and the doctor
share. Nothing else, so that it loads at once."""

from __future__ import annotations

from typing import Final

HOT: Final = ("partitions", "cursors")
"""Rows that change at each push, or at each pop and ack."""

THRESHOLDS: Final = {
    **dict.fromkeys(HOT, 5000),
    "leases": 5000,
    "enqueued": 5000,
    "trace_names": 5000,
    "scheduled_places": 5000,
    "instances": 1000,
    "leader": 1000,
    "queue_stats": 1000,
    "group_stats": 1000,
}
"""Dead rows that call a vacuum. 5,000 is what the figures of the README were measured with."""

FILLFACTORS: Final = {
    **dict.fromkeys(HOT, 10),  # why so little: queen/sql/tables/0012_room.sql
    **dict.fromkeys(("instances", "leader", "queue_stats", "group_stats", "trace_names", "scheduled_places"), 50),
}
"""Where rows change in place. The schema has the same, and a test holds the two together."""
