"""V1 on a real PostgreSQL: dead rows that autovacuum does not take away."""

from __future__ import annotations

from queen.doctor.finding import Threshold
from tests.doctor.support import about, apply, execute, look, session

FILL = (
    "alter table queen.partitions set (autovacuum_enabled = off)",
    "insert into queen.partitions (partition_id, queue_id, epoch, name)"
    " select n, 1, 1, n::text from generate_series(1, 20000) n",
)


def test_dead_rows_are_found_with_their_numbers_and_gone_after_the_fix(database_dsn: str) -> None:
    execute(database_dsn, *FILL, "delete from queen.partitions")
    finding = about(look(database_dsn, "V1"), "queen.partitions")
    assert finding.status == "crit"
    assert finding.evidence["dead_rows"] == finding.evidence["dead_for_long_rows"] == 20_000
    assert finding.evidence["trigger_rows"] == 5000
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "V1").status == "ok"


def test_rows_that_died_in_the_window_are_given_their_time(database_dsn: str) -> None:
    execute(database_dsn, *FILL)

    def purge() -> None:
        execute(database_dsn, "delete from queen.partitions")

    assert look(database_dsn, "V1", during=purge).status == "ok"
    assert look(database_dsn, "V1").status == "crit", "nothing dies any more, so they have been dead for a while"


def test_a_vacuum_that_could_remove_nothing_is_no_excuse(database_dsn: str) -> None:
    execute(database_dsn, *FILL)
    with session(database_dsn) as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select count(*) from queen.queues")
        execute(database_dsn, "delete from queen.partitions", "vacuum queen.partitions")
        finding = about(look(database_dsn, "V1"), "queen.partitions")
    assert finding.evidence["dead_rows"] == 20_000
    assert finding.evidence["vacuumed_s_ago"] < 60
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "V1").status == "ok"


def test_the_trigger_follows_the_server_where_a_table_has_no_own(database_dsn: str) -> None:
    execute(
        database_dsn,
        "create table queen.notes (n int) with (autovacuum_enabled = off)",
        "insert into queen.notes select generate_series(1, 2000)",
        "analyze queen.notes",
        "update queen.notes set n = n + 1",
    )
    finding = about(look(database_dsn, "V1"), "queen.notes")
    assert finding.evidence["trigger_rows"] == 50 + 0.2 * 2000


def test_a_fresh_schema_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "V1", thresholds={"patience": Threshold(0, None)}).status == "ok"


def test_without_the_schema_it_is_skipped_and_says_what_to_run(empty_database_dsn: str) -> None:
    result = look(empty_database_dsn, "V1")
    assert (result.status, result.enable) == ("skipped", "queen db migrate")
