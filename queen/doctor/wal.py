"""What several checks know of the write-ahead log: when its volume forces a checkpoint, and how much of it is images.
Pure."""

from __future__ import annotations

from typing import Final

from queen.doctor.check import NotSeen, Seen
from queen.doctor.facts import ServerSettings
from queen.store.inspect import Row

COMPRESSED: Final = 0.5
"""A page image, compressed, to one that is not: about half for pages of messages and of their indexes."""


def trigger_bytes(settings: ServerSettings) -> float:
    """After so many bytes of log a checkpoint is forced: PostgreSQL keeps the log of one checkpoint and of the part of
    the next that checkpoint_completion_target spreads, and all of it shall fit into max_wal_size."""
    return settings.bytes("max_wal_size") / (1 + settings.number("checkpoint_completion_target", 0.9))


def image_bytes(images: float, settings: ServerSettings) -> float:
    """At most so much log is taken by full-page images: a page each, less where they are compressed. Free space in the
    middle of a page is not logged, so it may be less."""
    share = 1.0 if settings.text("wal_compression", "off") == "off" else COMPRESSED
    return images * settings.number("block_size", 8192) * share


def grown(seen: Seen) -> Row:
    """The log's counters with what the window added. Raises NotSeen when they were reset meanwhile."""
    rows = seen.changes("wal", "what", "wal_records", "wal_fpi", "wal_bytes", "wal_buffers_full", "position")
    if not rows:
        raise NotSeen("the counters of the log were reset inside the window", "run it again")
    return rows[0]


def megabytes(size: float) -> float:
    """For evidence: MB, to a tenth."""
    return round(size / (1 << 20), 1)
