"""I1 on a real PostgreSQL: builds that were broken off."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.doctor.support import about, apply, execute, look, only, session, wait_for


def test_a_unique_index_that_could_not_be_built_is_found_and_built_anew(database_dsn: str) -> None:
    execute(database_dsn, "insert into queen.leases select gen_random_uuid(), '{}', 'epoch' from generate_series(1, 2)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(database_dsn, "create unique index concurrently one_at_a_time on queen.leases (created_at)")
    finding = about(look(database_dsn, "I1"), "queen.one_at_a_time")
    assert finding.status == "warn"
    assert finding.evidence == {"table": "queen.leases", "unique": True, "leftover": False, "of_queen": False}
    execute(database_dsn, "delete from queen.leases")
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I1").status == "ok"


def test_what_a_broken_off_reindex_left_is_dropped(database_dsn: str) -> None:
    with session(database_dsn) as writer:
        writer.execute("insert into queen.leases values (gen_random_uuid(), '{}', now())")
        with session(database_dsn, autocommit=True) as other:
            other.execute("set statement_timeout = '200ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                other.execute("reindex index concurrently queen.leases_pkey")
    finding = about(look(database_dsn, "I1"), "queen.leases_pkey_ccnew")
    assert finding.evidence["leftover"]
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I1").status == "ok"


def test_an_index_of_all_messages_is_completed_child_by_child(database_dsn: str) -> None:
    execute(
        database_dsn,
        "drop index queen.idx_messages_queue_status",
        "create index idx_messages_queue_status on only queen.messages (queue_id, status)",
    )
    finding = about(look(database_dsn, "I1"), "queen.idx_messages_queue_status")
    assert finding.status == "crit"
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I1").status == "ok"
    assert look(database_dsn, "I5").status == "ok"


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_repair_that_was_broken_off_is_gone_on_with(database_dsn: str, done: int) -> None:
    execute(database_dsn, "select queen.open_epoch(2)", "drop index queen.idx_messages_queue_status")
    missing = only(look(database_dsn, "I5")).fix
    assert missing is not None
    execute(database_dsn, *missing.apply[:done])
    if done == 2:
        # As a CREATE INDEX CONCURRENTLY leaves it that was cancelled.
        execute(
            database_dsn,
            "update pg_index set indisvalid = false where indexrelid = 'queen.idx_messages_queue_status_1'::regclass",
        )
    apply(database_dsn, about(look(database_dsn, "I1"), "queen.idx_messages_queue_status").fix)
    assert look(database_dsn, "I1").status == "ok"
    assert look(database_dsn, "I5").status == "ok"


def test_an_index_that_is_being_built_is_not_broken(database_dsn: str) -> None:
    building = "select count(*) from pg_stat_progress_create_index where datname = current_database()"
    with session(database_dsn) as writer, ThreadPoolExecutor(1) as other:
        writer.execute("insert into queen.leases values (gen_random_uuid(), '{}', now())")
        built = other.submit(execute, database_dsn, "create index concurrently mine on queen.leases (created_at)")
        wait_for(database_dsn, building)
        assert look(database_dsn, "I1").status == "ok"
        writer.rollback()
        built.result(timeout=60)


def test_a_fresh_schema_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "I1").status == "ok"
