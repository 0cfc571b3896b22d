"""I4 on a real PostgreSQL: indexes that say what others say."""

from __future__ import annotations

from tests.doctor.support import about, apply, execute, look, undo, work


def test_the_same_and_the_beginning_of_another_are_found_and_dropped(module_dsn: str) -> None:
    execute(
        module_dsn,
        "create index mine_same on queen.dead_letters (queue_id, dead_letter_id)",
        "create index mine_prefix on queen.dead_letters (partition_id)",
        "create index mine_wide on queen.dead_letters (failed_at, error)",
        "create index mine_narrow on queen.dead_letters (failed_at)",
    )
    result = look(module_dsn, "I4")
    covered = {"queen.mine_same", "queen.mine_prefix", "queen.mine_narrow"}
    assert {finding.object for finding in result.findings} == covered
    assert "idx_dead_letters_queue" in about(result, "queen.mine_same").evidence["covered_by"]
    assert "mine_wide" in about(result, "queen.mine_narrow").evidence["covered_by"]
    for finding in result.findings:
        apply(module_dsn, finding.fix)
    assert look(module_dsn, "I4").status == "ok"
    for finding in result.findings:
        undo(module_dsn, finding.fix)
    assert {finding.object for finding in look(module_dsn, "I4").findings} == covered
    execute(module_dsn, *[f"drop index {name}" for name in (*covered, "queen.mine_wide")])


def test_other_order_condition_operators_or_uniqueness_are_no_duplicates(module_dsn: str) -> None:
    execute(
        module_dsn,
        "create index mine_a on queen.dead_letters (queue_id desc, dead_letter_id)",
        "create index mine_b on queen.dead_letters (queue_id) where retries > 3",
        "create index mine_c on queen.dead_letters (transaction_id text_pattern_ops)",
        "create index mine_d on queen.dead_letters using hash (transaction_id)",
        "create unique index mine_e on queen.dead_letters (queue_id, dead_letter_id, failed_at)",
        "create index mine_f on queen.dead_letters (queue_id) include (payload)",
    )
    assert look(module_dsn, "I4").status == "ok"
    execute(module_dsn, *[f"drop index queen.mine_{letter}" for letter in "abcdef"])


def test_one_on_all_messages_costs_with_each_of_them(database_dsn: str) -> None:
    execute(database_dsn, "create index mine_transactions on queen.messages (transaction_id)")

    def push() -> None:
        work(
            database_dsn,
            'insert into queen.messages (partition_id, "offset", created_at, queue_id, epoch, transaction_id, payload)'
            " select 1, n, now(), 1, 1, md5(n::text), '1' from generate_series(1, 2000) n",
        )

    finding = about(look(database_dsn, "I4", during=push), "queen.mine_transactions")
    assert finding.evidence["new_entries_in_window"] == 2000
    assert 5 < (finding.at_stake.high_pct or 0) < 60
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "I4").status == "ok"
    undo(database_dsn, finding.fix)
    assert look(database_dsn, "I1").status == "ok", "the way back builds it in every child"
    assert about(look(database_dsn, "I4"), "queen.mine_transactions")
