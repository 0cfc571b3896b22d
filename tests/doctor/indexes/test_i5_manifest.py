"""I5 on a real PostgreSQL: a schema that somebody changed by hand."""

from __future__ import annotations

import asyncio

from queen.store.migrate import migrate
from tests.doctor.support import about, apply, execute, look, only, undo


def test_a_missing_index_is_found_and_made(database_dsn: str) -> None:
    execute(database_dsn, "drop index queen.idx_partitions_queue")
    finding = only(look(database_dsn, "I5"))
    assert (finding.status, finding.object) == ("warn", "queen.idx_partitions_queue")
    assert finding.evidence["expected"] == "btree (queue_id, partition_id)"
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I5").status == "ok"
    undo(database_dsn, finding.fix)
    assert only(look(database_dsn, "I5")).object == "queen.idx_partitions_queue"


def test_the_unique_index_of_messages_is_made_child_by_child(database_dsn: str) -> None:
    execute(database_dsn, "select queen.open_epoch(2)", "drop index queen.idx_messages_transaction")
    finding = only(look(database_dsn, "I5"))
    assert (finding.status, finding.evidence["unique"]) == ("crit", True)
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I5").status == "ok"
    assert look(database_dsn, "I1").status == "ok"
    execute(database_dsn, "select queen.open_epoch(3)")
    assert look(database_dsn, "I5").status == "ok", "a later child follows its parent"


def test_a_missing_key_is_made_and_a_different_index_is_told(database_dsn: str) -> None:
    execute(
        database_dsn,
        "alter table queen.cursors drop constraint cursors_pkey",
        "drop index queen.idx_subscriptions_group",
        "create index idx_subscriptions_group on queen.subscriptions (mode)",
    )
    result = look(database_dsn, "I5")
    assert len(result.findings) == 2
    different = about(result, "queen.idx_subscriptions_group")
    assert "is btree (mode); it should be btree (consumer_group)" in different.summary
    apply(database_dsn, about(result, "queen.cursors_pkey").fix)
    execute(database_dsn, "drop index queen.idx_subscriptions_group")
    apply(database_dsn, about(look(database_dsn, "I5"), "queen.idx_subscriptions_group").fix)
    assert look(database_dsn, "I5").status == "ok"


def test_tables_columns_and_functions_are_compared(database_dsn: str) -> None:
    execute(
        database_dsn,
        "drop table queen.trace_names",
        "alter table queen.leases alter column created_at type timestamp",
        "alter table queen.enqueued alter column payload drop not null",
        "drop function queen.ack",
        "drop function queen.pop_1",
    )
    result = look(database_dsn, "I5")
    assert result.status == "crit"
    assert about(result, "queen.trace_names").summary == "table trace_names is missing"
    column = about(result, "queen.leases")
    assert column.evidence["found"] == {"created_at": "timestamp without time zone not null"}
    assert about(result, "queen.enqueued").evidence["expected"] == {"payload": "text not null"}
    functions = about(result, "queen")
    assert functions.evidence["missing"] == ["ack", "pop_1"]
    assert functions.fix is not None
    forget = functions.fix.apply[0].split("'")[1]
    execute(database_dsn, forget)
    asyncio.run(migrate(database_dsn, "queen"))
    assert all(finding.object != "queen" for finding in look(database_dsn, "I5").findings)


def test_an_index_of_yours_is_information(module_dsn: str) -> None:
    assert look(module_dsn, "I5").status == "ok"
    execute(module_dsn, "create index mine on queen.queues (created_at)")
    finding = only(look(module_dsn, "I5"))
    assert (finding.status, finding.object) == ("info", "queen.mine")
    execute(module_dsn, "drop index queen.mine", "create index mine on queen.messages (created_at)")
    assert only(look(module_dsn, "I5")).object == "queen.mine", "its parts in the children are not told apart"
    execute(module_dsn, "drop index queen.mine", "create index mine on queen.messages_1 (created_at)")
    assert only(look(module_dsn, "I5")).object == "queen.mine"
