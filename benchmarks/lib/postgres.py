"""PostgreSQL's own counters at one moment, and the facts about it that belong beside every figure.

It holds one session in autocommit. Its handful of queries a window are part of what is counted: about three
statements against thousands.
"""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import Any, LiteralString, Self

import msgspec
import psycopg

SETTINGS = [
    *("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "synchronous_standby_names"),
    *("wal_level", "wal_compression", "wal_sync_method", "wal_buffers", "max_wal_size", "min_wal_size"),
    *("checkpoint_timeout", "checkpoint_completion_target", "commit_delay", "commit_siblings"),
    *("shared_buffers", "work_mem", "maintenance_work_mem", "effective_cache_size", "huge_pages"),
    *("effective_io_concurrency", "random_page_cost", "max_connections", "jit", "plan_cache_mode"),
    *("autovacuum", "autovacuum_naptime", "track_io_timing", "default_toast_compression", "shared_preload_libraries"),
]

# The transaction id counter moves at once and counts every transaction that writes. `xact_commit` counts reading
# ones too, but each session hands its count over at most once a second.
_COUNTERS: LiteralString = """
    select (pg_current_wal_insert_lsn() - '0/0')::bigint,
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
           (select xact_commit from pg_stat_database where datname = current_database()),
           (select wal_fpi from pg_stat_wal)"""
_STATEMENTS: LiteralString = """
    select coalesce(sum(calls), 0)::bigint from pg_stat_statements
     where toplevel and dbid = (select oid from pg_database where datname = current_database())"""
_STORED_BYTES: LiteralString = r"""
    select sum(pg_total_relation_size(oid))::bigint from pg_class
     where relkind = 'r' and relname ~ '^messages_[0-9]+$'"""
_CHECKPOINTS_17: LiteralString = "select (num_timed + num_requested)::bigint from pg_stat_checkpointer"
_CHECKPOINTS: LiteralString = "select (checkpoints_timed + checkpoints_req)::bigint from pg_stat_bgwriter"


class PgCounters(msgspec.Struct, frozen=True):
    """Running totals. `writes` is the transaction id counter; `statements` None without pg_stat_statements."""

    wal_bytes: int
    writes: int
    commits: int
    full_pages: int
    checkpoints: int
    statements: int | None


class PgMeter:
    """One session on the server's database. Use as a context manager."""

    def __init__(self, dsn: str, *, may_create: bool) -> None:
        """`may_create`: the database is ours to throw away, so pg_stat_statements may be created in it.
        Raises psycopg.Error."""
        self._connection = psycopg.connect(dsn, autocommit=True, connect_timeout=10, application_name="hotpath meter")
        self.version_number = self._connection.info.server_version
        self._has_statements = self._prepare_statements(may_create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._connection.close()

    def read(self) -> PgCounters:
        wal, writes, commits, full_pages = self._row(_COUNTERS)
        checkpoints = self._row(_CHECKPOINTS_17 if self.version_number >= 170000 else _CHECKPOINTS)[0]
        statements = self._row(_STATEMENTS)[0] if self._has_statements else None
        return PgCounters(wal, writes, commits, full_pages, checkpoints, statements)

    def read_settled(self, quiet_s: float) -> PgCounters:
        """Reads after `quiet_s` without load. From PostgreSQL 15 on an idle session hands its last counts over
        within ten seconds, so eleven make the commit count exact; older ones keep them until they work again."""
        time.sleep(quiet_s)
        return self.read()

    def checkpoint(self) -> None:
        """Writes all changed pages now. Needs the right to; without it nothing happens."""
        with suppress(psycopg.errors.InsufficientPrivilege):
            self._connection.execute("checkpoint")

    def vacuum(self) -> None:
        """What autovacuum would do about everything stored so far. What we may not vacuum is left out by PostgreSQL."""
        self._connection.execute("vacuum (analyze)")

    def stored_bytes(self) -> int:
        """Size of all tables named messages or messages_<epoch>, with their indexes."""
        return int(self._row(_STORED_BYTES)[0] or 0)

    def backend_pid(self) -> int:
        return self._connection.info.backend_pid

    def facts(self) -> dict[str, Any]:
        """Version and the settings that move these figures; no paths, no secrets."""
        query = "select name, current_setting(name) from pg_settings where name = any(%s) order by name"
        rows = self._connection.execute(query, (SETTINGS,)).fetchall()
        version = self._row("select split_part(version(), ' ', 2)")[0]
        return {"version": version, "pg_stat_statements": self._has_statements, "settings": dict(rows)}

    def _prepare_statements(self, may_create: bool) -> bool:
        try:
            if may_create:
                self._connection.execute("create extension if not exists pg_stat_statements")
            self._row(_STATEMENTS)
        except psycopg.Error:
            return False
        return True

    def _row(self, query: LiteralString) -> tuple[Any, ...]:
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return row
