"""Log files made ahead: PostgreSQL takes them as its own, survives a crash among them, and makes no new ones."""

from __future__ import annotations

import os
import shutil
import signal
from collections import namedtuple
from pathlib import Path

import psycopg
import pytest

from queen.embedded.account import Account
from queen.embedded.cluster import Cluster
from queen.embedded.state import read_note
from queen.embedded.wal_reserve import SEGMENT_BYTES, reserve_wal
from queen.settings import EmbeddedSettings
from queen.store.connect import admin

Usage = namedtuple("Usage", "total used free")
SELF = Account("me", os.geteuid(), os.getegid(), switch=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A data directory with one log file, the last of its group of 256."""
    folder = tmp_path / "pg_wal"
    folder.mkdir()
    (folder / "archive_status").mkdir()
    (folder / "0000000100000000000000FE").write_bytes(b"x")
    return tmp_path


def names(data: Path) -> list[str]:
    return sorted(path.name for path in (data / "pg_wal").iterdir() if path.is_file())


def test_the_names_go_on_where_the_log_ends(log: Path) -> None:
    assert reserve_wal(log, SELF, 3 * SEGMENT_BYTES + 5) == 3
    assert names(log)[1:] == ["0000000100000000000000FF", "000000010000000100000000", "000000010000000100000001"]


def test_the_files_are_whole_private_and_without_holes(log: Path) -> None:
    reserve_wal(log, SELF, SEGMENT_BYTES)
    made = (log / "pg_wal" / names(log)[1]).stat()
    assert (made.st_size, made.st_mode & 0o777) == (SEGMENT_BYTES, 0o600)
    assert made.st_blocks * 512 >= SEGMENT_BYTES


def test_a_small_disk_is_left_for_data(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 45 * SEGMENT_BYTES))
    assert reserve_wal(log, SELF, 64 * SEGMENT_BYTES) == 2


def write_log(connection: psycopg.Connection[tuple[object, ...]], segments: int) -> None:
    for _ in range(segments):
        connection.execute("SELECT pg_logical_emit_message(false, 'test', 'x')")
        connection.execute("SELECT pg_switch_wal()")


@pytest.mark.pg
def test_postgresql_uses_them_and_a_crash_among_them_loses_nothing(programs: None, place: Path) -> None:
    settings = EmbeddedSettings(data_dir=str(place / "d"), wal_reserve_bytes=6 * SEGMENT_BYTES)
    with Cluster.open(settings) as cluster:
        before = names(cluster.data_dir)
        with admin(cluster.dsn) as connection:
            write_log(connection, 3)
            connection.execute("CREATE TABLE kept (value int)")
            connection.execute("INSERT INTO kept VALUES (7)")
            row = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        assert row is not None
        assert row[0] in before[3:], "a later file that was there already is in use"
        assert names(cluster.data_dir) == before, "no file was made"
        note = read_note(cluster.home)
        assert note is not None
        assert note.postmaster_pid is not None
        os.kill(note.postmaster_pid, signal.SIGKILL)
        while cluster.alive:
            pass
        assert cluster.ensure()
        with admin(cluster.dsn) as connection:
            assert connection.execute("SELECT value FROM kept").fetchall() == [(7,)]
            write_log(connection, 3)
