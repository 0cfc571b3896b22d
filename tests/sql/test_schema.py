"""The schema's name is free, the functions need no setting of the session, and each says what it is for."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from queen import sql as files
from queen.store.migrate import migrate
from tests.sql.client import Session, Signal
from tests.support.fix_postgres import PostgresServer

NAMES = ("queen", "other_name", "Mixed Case", 'with "quotes"', "select", "ünicode-\U0001f41d")


def _life(session: Session) -> None:
    """A message's whole life, with all functions of the hot path in it."""
    session.configure("q", retryLimit=0)
    p, q = session.partitions(2)
    assert session.push({p: ["a", "b"], q: ["c"]}) == [0, 0]
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.push({p: ["b"]})
    assert session.push_deduplicating({p: ["b", "d"]}) == [(1, True), (2, False)]
    queue_id = session.one("select queue_id from {s}.queues where name = 'q'")
    session.call("subscribe", ("integer", "text", "text", "timestamptz"), queue_id, "g", "all", None)
    session.open_cursors([p, q])
    assert [row.transaction_ids for row in session.pop(p, q, batch=2)] == [["a", "b"]]
    assert session.lease is not None
    assert session.extend((session.lease, p, 90_000)) != []
    assert session.locate((p, "b", -1, 5)) == [1]
    assert session.ack(Signal(p, session.lease, completed=0))[0].acked == 0
    assert session.ack_failed(Signal(p, session.lease, failed=1))[0].dead_offset == 1
    session.open_epoch(2)
    assert session.push({p: ["e"]}) == [3]
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.push({p: ["a"]})
    assert session.pop(p)[0].transaction_ids == ["d"]
    session.ack(Signal(p, session.lease, completed=2))
    assert session.pop(p, epoch=2)[0].transaction_ids == ["e"]
    assert session.one("select {s}.forget_leases(0)") == 1, "the lease over two partitions is over"
    assert session.one("select {s}.delete_group('g', true)") == 2
    assert session.one("select {s}.delete_queue('q')")


@pytest.mark.parametrize("name", NAMES)
def test_everything_works_in_a_schema_of_any_name(empty_database_dsn: str, name: str) -> None:
    report = asyncio.run(migrate(empty_database_dsn, name))
    assert report.to_version == files.schema_version()
    with Session(empty_database_dsn, name) as session:
        _life(session)
        outside = session.rows(
            "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', %s)",
            name,
        )
    assert outside == []


def test_two_schemas_of_one_database_do_not_see_each_other(empty_database_dsn: str) -> None:
    for name in ("one", "two"):
        asyncio.run(migrate(empty_database_dsn, name))
    with Session(empty_database_dsn, "one") as one, Session(empty_database_dsn, "two") as two:
        p = one.partition()
        one.push({p: ["a"]})
        assert two.one("select count(*) from {s}.messages") == 0
        assert two.push({two.partition(): ["a"]}) == [0]
        _life(two)
        assert one.stored(p) == [(0, "a")]


@pytest.mark.parametrize("path", ["", "public", "pg_temp, public", "queen"])
def test_no_search_path_of_the_session_matters(session: Session, path: str) -> None:
    session.rows("select set_config('search_path', %s, false)", path)
    # A table of the session must not stand in for one of the schema.
    session.rows("create temporary table partitions (partition_id bigint)")
    session.rows("create temporary table messages (partition_id bigint)")
    _life(session)


def test_the_functions_can_be_used_from_psql(postgres_server: PostgresServer, database_dsn: str) -> None:
    own = postgres_server.bin_dir / "psql" if postgres_server.bin_dir is not None else None
    psql = str(own) if own is not None and Path(own).exists() else shutil.which("psql")
    if psql is None:
        pytest.skip("needs psql, which this PostgreSQL came without")
    text = """
        select partition_id from queen.resolve('{orders}', '{berlin}') \\gset
        select bases from queen.push(array[:partition_id], '{2}', '{1,1}', '{t1,t2}', '{"1","{}"}', null, null);
        select queen.open_cursors(array[:partition_id], '{g}');
        select transaction_ids, payloads from queen.pop_1(array[:partition_id], '{g}', '{1}', '{10}',
            '{01990f3f-0a11-7d02-8c44-9b1e2d3c4f50}', '{60000}', false);
        select acked, released from queen.ack(array[:partition_id], '{g}',
            '{01990f3f-0a11-7d02-8c44-9b1e2d3c4f50}', '{1}', '{null}');
        select status, payload::jsonb from queen.messages order by "offset";
    """
    done = subprocess.run(
        [psql, "-X", "-At", "-v", "ON_ERROR_STOP=1", database_dsn], input=text, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line] == [
        "{0}",
        '{t1,t2}|{1,"{}"}',
        "1|t",
        "pending|1",
        "pending|{}",
    ]


def test_every_function_file_defines_its_name_and_says_what_it_does() -> None:
    for name, text in files.functions():
        assert re.search(rf"^create or replace function {name}\(", text, re.MULTILINE), name
        assert text.startswith(f"-- {name}("), name
        # A parameterless function of constants alone reads no table.
        assert "set search_path from current" in text or name == "default_options", name


def test_no_function_names_a_schema() -> None:
    for name, text in [*files.functions(), *((step.name, step.text) for step in files.migrations())]:
        code = re.sub(r"--.*", "", text)
        assert not re.search(r"\b(queen|public)\.", code), name
