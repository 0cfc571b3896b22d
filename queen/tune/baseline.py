"""The baseline: twelve settings for a dedicated machine with 4 GB of memory or more and an SSD. Not computed.

`postgresql.conf.example` is made of it, and a test holds the two together.
"""

from __future__ import annotations

from typing import Final

from queen.tune.inputs import GIB, Inputs
from queen.tune.known import line
from queen.tune.lines import Plan

INPUTS: Final = Inputs(memory_bytes=4 * GIB, cpus=2, pg_version=14, pool_size=100)
"""What the values were chosen for."""

_LINES: Final = (
    ("max_connections", "200", "pools of several Queen instances, their listeners, and room for people"),
    ("superuser_reserved_connections", "3", "an administrator still gets in when all others are taken"),
    ("shared_buffers", "512MB", "the newest messages and all small tables stay in it"),
    ("effective_cache_size", "2GB", "tells the planner that index pages are in memory, so it uses indexes"),
    ("work_mem", "8MB", "sorts of a full batch stay in memory, and 200 sessions cannot exhaust it"),
    ("maintenance_work_mem", "128MB", "vacuum and index builds finish in one pass"),
    ("wal_buffers", "16MB", "one group commit of large batches fits without waiting"),
    ("checkpoint_completion_target", "0.9", "spreads the writes of a checkpoint: a burst would slow every push"),
    ("max_wal_size", "2GB", "checkpoints come by time, not every few seconds under load"),
    ("min_wal_size", "1GB", "log files are used again instead of made anew at every peak"),
    ("random_page_cost", "1.1", "SSD: a random read costs about as much as the next page"),
    ("effective_io_concurrency", "200", "SSD: many reads at once"),
)


def baseline(inputs: Inputs = INPUTS) -> Plan:
    """The same lines for every machine; tables, role and notes are left alone."""
    lines = tuple(line(inputs, name, value, reason, "") for name, value, reason in _LINES)
    return Plan(inputs, lines, tables=(), roles=(), notes=())
