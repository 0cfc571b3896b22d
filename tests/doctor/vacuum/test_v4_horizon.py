"""V4 on a real PostgreSQL: sessions, slots, prepared transactions that hold a snapshot."""

from __future__ import annotations

from collections.abc import Callable

from queen.doctor.checks.vacuum.v4_horizon import CHECK
from queen.doctor.finding import NO_STAKE, Stake, Threshold
from queen.store.inspect import Row
from tests.doctor.seen import seen_with
from tests.doctor.support import about, apply, execute, look, only, session
from tests.doctor.vacuum.slow import slow_vacuum

SOON = {"limit": Threshold(0.0, 600, "s"), "xids": Threshold(0, None, "transactions")}


def test_the_holder_is_named_and_gone_when_ended(database_dsn: str) -> None:
    with session(database_dsn, application_name="forgetful") as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select count(*) from queen.queues")
        finding = only(look(database_dsn, "V4", thresholds=SOON))
        assert finding.evidence["application_name"] == "forgetful"
        assert finding.evidence["who"] == str(holder.info.backend_pid)
        assert look(database_dsn, "V4").status == "ok", "not for long enough to warn"
        apply(database_dsn, finding.fix)
        assert look(database_dsn, "V4", thresholds=SOON).status == "ok"


def test_a_writer_between_statements_holds_it_without_a_snapshot(database_dsn: str) -> None:
    with session(database_dsn) as holder:
        holder.execute("insert into queen.partitions (partition_id, queue_id, epoch, name) values (1, 1, 1, 'a')")
        execute(database_dsn, "update queen.leader set lease_until = now()", "vacuum queen.leader")
        finding = only(look(database_dsn, "V4", thresholds=SOON))
        assert finding.evidence["state"] == "idle in transaction"
        assert finding.evidence["xids"] >= 2
        assert finding.evidence["dead_rows"] == {"queen.leader": 1}, "vacuum could not remove it"
        holder.rollback()
        execute(database_dsn, "vacuum queen.leader")
        assert look(database_dsn, "V4", thresholds=SOON).status == "ok"


def test_sessions_of_other_databases_do_not_hold_it(database_dsn: str, new_database: Callable[..., str]) -> None:
    with session(new_database()) as elsewhere:
        elsewhere.execute("set transaction isolation level repeatable read")
        elsewhere.execute("select 1 from queen.queues")
        execute(database_dsn, "update queen.leader set lease_until = now()", "vacuum queen.leader")
        assert look(database_dsn, "V4", thresholds=SOON).status == "ok"
    dead = "select n_dead_tup from pg_stat_all_tables where relid = 'queen.leader'::regclass"
    with session(database_dsn) as one:
        assert one.execute(dead).fetchone() == (0,), "vacuum could remove it"


def test_a_vacuum_at_work_does_not_hold_it(database_dsn: str) -> None:
    execute(database_dsn, "create table queen.notes as select n from generate_series(1, 20000) n")
    with slow_vacuum(database_dsn, "queen.notes") as pid, session(database_dsn) as one:
        xmin = one.execute("select backend_xmin from pg_stat_activity where pid = %s", [pid]).fetchone()
        assert xmin != (None,), "it has a snapshot"
        one.rollback()
        assert look(database_dsn, "V4", thresholds=SOON).status == "ok"


def test_age_in_transactions_counts_by_itself(database_dsn: str) -> None:
    with session(database_dsn) as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select count(*) from queen.queues")
        execute(database_dsn, *["select pg_current_xact_id()"] * 30)
        finding = only(look(database_dsn, "V4", thresholds={"xids": Threshold(30, 1000)}))
    assert (finding.status, finding.threshold) == ("warn", Threshold(30, 1000))
    assert finding.evidence["xids"] >= 30


def test_a_prepared_transaction_is_rolled_back(own_dsn: str) -> None:
    execute(own_dsn, "begin; insert into queen.counters values ('x', 1); prepare transaction 'it''s mine'")
    finding = only(look(own_dsn, "V4", thresholds=SOON))
    assert (finding.evidence["kind"], finding.evidence["who"]) == ("prepared", "it's mine")
    assert finding.evidence["role"] == "queen"
    apply(own_dsn, finding.fix)
    assert look(own_dsn, "V4", thresholds=SOON).status == "ok"


def test_a_forgotten_logical_slot_holds_the_catalogs_and_is_dropped(own_dsn: str) -> None:
    with session(own_dsn, autocommit=True) as maker:  # it waits for transactions that run, not for ever
        maker.execute("select pg_create_logical_replication_slot('forgotten', 'pgoutput')")
    severe = {"xids": Threshold(0, 0, "transactions")}
    finding = about(look(own_dsn, "V4", thresholds=severe), "slot forgotten")
    assert (finding.status, finding.evidence["holds"]) == ("warn", "catalogs")
    assert finding.evidence["state"] == "inactive"
    apply(own_dsn, finding.fix)
    assert look(own_dsn, "V4", thresholds=severe).status == "ok"


def test_what_is_at_stake_is_what_reads_more_than_before() -> None:
    holder = {"kind": "session", "who": "7", "xids": 5, "state": "idle in transaction", "what": "q", "held_s": 99.0,
              "application_name": "a", "role": "r", "holds": "tables"}  # fmt: skip
    base = {"name": "pop", "hours": 9, "calls": 9e4, "mean_ms": 1.0, "best_ms": 0.9, "blocks": 9.0, "messages": None}
    rows: dict[str, list[Row]] = {"holders": [holder], "tables": [], "baselines": [base], "state": []}

    def judged(mean_ms: float, blocks: float) -> Stake:
        before = {"name": "pop", "calls": 0.0, "total_ms": 0.0, "blocks": 0.0}
        now = {"name": "pop", "calls": 1e3, "total_ms": 1e3 * mean_ms, "blocks": 1e3 * blocks}
        seen = seen_with(CHECK, {**rows, "totals": [before]}, {**rows, "totals": [now]})
        [finding] = CHECK.evaluate(seen)
        return finding.at_stake

    slow = judged(4.0, 90.0)
    assert (slow.kind, slow.method, slow.time_share) == ("modelled", "statement share", None)
    assert slow.high_pct == round(100 * (1 / (1 - 0.95 * 0.75) - 1), 1)
    assert judged(4.0, 9.0) == NO_STAKE, "it waits for something else"
    assert judged(1.1, 9.0) == NO_STAKE
