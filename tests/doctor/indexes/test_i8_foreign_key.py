"""I8 on a real PostgreSQL: foreign keys that make deletes, or pushes, dear."""

from __future__ import annotations

from tests.doctor.support import about, apply, execute, look, undo


def test_a_key_without_an_index_is_found_and_gets_one(database_dsn: str) -> None:
    execute(
        database_dsn,
        'create table public.orders (id int primary key, "Queue" int references queen.queues)',
        "create table public.notes (id int references queen.queues primary key)",
    )
    result = look(database_dsn, "I8")
    finding = about(result, "public.orders.orders_Queue_fkey")
    assert len(result.findings) == 1, "a primary key is an index too"
    assert finding.evidence["columns"] == '"Queue"'
    assert finding.evidence["parent"] == "queen.queues"
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I8").status == "ok"
    undo(database_dsn, finding.fix)
    assert look(database_dsn, "I8").status == "warn"


def test_a_partial_index_does_not_count(module_dsn: str) -> None:
    assert look(module_dsn, "I8").status == "ok"
    execute(
        module_dsn,
        "create table queen.mine (a int, b int, foreign key (a) references queen.queues)",
        "create index on queen.mine (a) where b > 0",
        "create index on queen.mine (b, a)",
    )
    assert about(look(module_dsn, "I8"), "queen.mine.mine_a_fkey").status == "warn"


def test_a_key_on_the_log_of_messages_is_found_and_dropped(database_dsn: str) -> None:
    execute(
        database_dsn,
        "alter table queen.messages add constraint of_queue foreign key (queue_id) references queen.queues",
    )
    finding = about(look(database_dsn, "I8"), "queen.messages.of_queue")
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I8").status == "ok"
    undo(database_dsn, finding.fix)
    assert about(look(database_dsn, "I8"), "queen.messages.of_queue")


def test_keys_of_long_names_get_an_index_each(database_dsn: str) -> None:
    """PostgreSQL cuts names at 63 bytes: two that are cut alike would be one."""
    long = 'public."Ä long ""name"" that goes on to the very end of what is kept"'
    execute(
        database_dsn,
        f"create table {long} (a int references queen.queues, b int, foreign key (b) references queen.queues)",
    )
    result = look(database_dsn, "I8")
    assert len(result.findings) == 2
    for finding in result.findings:
        apply(database_dsn, finding.fix)
    assert look(database_dsn, "I8").status == "ok"
    for finding in result.findings:
        undo(database_dsn, finding.fix)
    assert len(look(database_dsn, "I8").findings) == 2
