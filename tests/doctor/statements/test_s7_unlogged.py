"""S7 on a real PostgreSQL: a queue table that a crash would empty."""

from __future__ import annotations

from tests.doctor.support import about, apply, execute, look, undo


def test_an_unlogged_child_of_messages_is_found_and_logged_by_the_fix(module_dsn: str) -> None:
    execute(module_dsn, "alter table queen.messages_1 set unlogged")
    finding = about(look(module_dsn, "S7"), "queen.messages_1")
    assert finding.status == "crit"
    assert finding.evidence == {"heap_bytes": 0, "rows": 0}
    apply(module_dsn, finding.fix)
    assert look(module_dsn, "S7").status == "ok"
    undo(module_dsn, finding.fix)
    assert look(module_dsn, "S7").status == "crit"
    apply(module_dsn, finding.fix)


def test_numbers_to_look_at_are_less_of_a_loss(module_dsn: str) -> None:
    execute(module_dsn, "alter table queen.activity_hours set unlogged")
    assert about(look(module_dsn, "S7"), "queen.activity_hours").status == "warn"
    execute(module_dsn, "alter table queen.activity_hours set logged")


def test_what_servers_told_one_another_is_unlogged_on_purpose(module_dsn: str) -> None:
    assert look(module_dsn, "S7").status == "ok"


def test_a_table_that_somebody_else_put_there_is_no_promise_of_the_queue(module_dsn: str) -> None:
    execute(module_dsn, "create unlogged table queen.mine (a int)")
    assert about(look(module_dsn, "S7"), "queen.mine").status == "warn"
    execute(module_dsn, "drop table queen.mine")
