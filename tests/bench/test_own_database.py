"""The private PostgreSQL of a run can have settings of its own, or those that PostgreSQL comes with."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psycopg
import pytest

from queen.bench.database import Database

pytestmark = pytest.mark.pg


def test_it_runs_with_what_the_workload_says_and_else_with_what_postgresql_comes_with() -> None:
    with tempfile.TemporaryDirectory(prefix="queen-bench-test-") as name:
        Path(name).chmod(0o755)
        database = asyncio.run(Database.open(Path(name) / "data"))
        try:
            asyncio.run(database.configure(["defaults", "work_mem = 9MB"]))
            with psycopg.connect(database.dsn) as connection:
                shown = [connection.execute(f"show {name}").fetchone() for name in ("shared_buffers", "work_mem")]
        finally:
            database.close()
    assert shown == [("128MB",), ("9MB",)]
