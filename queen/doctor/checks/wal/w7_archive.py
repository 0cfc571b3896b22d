"""W7: files of the log that cannot be archived."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor import needs
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Severity, Threshold
from queen.doctor.wal import megabytes
from queen.store.inspect import Row

_ARCHIVER = """
SELECT 'archiver' AS what, archived_count, failed_count, last_failed_wal,
       last_failed_time > coalesce(last_archived_time, '-infinity') AS failing,
       EXTRACT(epoch FROM clock_timestamp() - last_failed_time)::float8 AS failed_s_ago,
       EXTRACT(epoch FROM clock_timestamp() - last_archived_time)::float8 AS archived_s_ago
  FROM pg_stat_archiver
"""
_WAITING = "SELECT count(*) FILTER (WHERE name LIKE '%.ready') AS files FROM pg_ls_archive_statusdir()"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """Failing now, or switched on without anything that archives."""
    settings = seen.facts.settings
    if settings.text("archive_mode", "off") == "off":
        return
    row, waiting = seen.row("archiver"), seen.row("waiting")["files"]
    nothing = not _archives(seen)
    if not row["failing"] and not (nothing and waiting):
        return
    limit = seen.limits["limit"]
    severity: Severity = limit.judge(waiting) or "warn"
    yield Finding(
        severity,
        f"archiving {'has no command' if nothing else 'fails'}: {waiting} files of the log wait for it",
        _evidence(seen, row, waiting),
        "Set archive_command or archive_library, or turn archive_mode off."
        if nothing
        else "Mend archive_command: PostgreSQL's own log has what it said. Files go by themselves once it works.",
        object="archive_mode",
        threshold=limit,
    )


def _archives(seen: Seen) -> bool:
    settings = seen.facts.settings
    command = settings.text("archive_command")
    return bool(settings.text("archive_library") or command not in ("", "(disabled)"))


def _evidence(seen: Seen, row: Row, waiting: int) -> dict[str, object]:
    before = seen.first["archiver"][0]
    size = seen.facts.settings.bytes("wal_segment_size", 16 << 20)
    return {
        "waiting_files": waiting,
        "waiting_MB": megabytes(waiting * size),
        "failed": row["failed_count"],
        "failed_in_window": row["failed_count"] - before["failed_count"],
        "last_failed_file": row["last_failed_wal"],
        "failed_s_ago": _seconds(row["failed_s_ago"]),
        "archived_s_ago": _seconds(row["archived_s_ago"]),
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


CHECK = Check(
    id="W7",
    group="wal",
    title="Archiving of the log fails",
    why="Log that is not archived is not removed: it fills the disk, and the backup has a hole until then.",
    false_positive="One failure that is tried again within a minute.",
    explain="""\
With archive_mode each finished file of the log goes through archive_command or archive_library before it may be
removed. The check finds a last failure that is later than the last success, and archive_mode without anything that
archives. The number of files that wait is counted: ten are a warning that became serious.

The command itself is not shown, for it may hold a secret. What it said is in PostgreSQL's own log.""",
    evaluate=evaluate,
    queries={"archiver": Query(_ARCHIVER), "waiting": Query(_WAITING, once=True)},
    thresholds={"limit": Threshold(1, 10, "files that wait")},
    needs=(needs.monitor, needs.primary),
    delta=True,
)
