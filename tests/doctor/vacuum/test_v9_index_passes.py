"""V9: a vacuum whose memory holds a part of the dead rows only."""

from __future__ import annotations

from queen.doctor.checks.vacuum.v9_index_passes import CHECK
from queen.doctor.finding import Finding
from queen.store.inspect import Row
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import execute, look, only, session
from tests.doctor.vacuum.slow import await_that, slow_vacuum

ROW: Row = {"pid": 1, "name": "queen.big", "phase": "scanning heap", "passes": 3, "auto": True, "dead_rows": 50_000_000,
            "index_bytes": 1, "running_s": 60.0}  # fmt: skip
# Two passes: 1 MB holds 174,762 dead rows.
ROWS = 450_000


def test_a_vacuum_with_too_little_memory_is_found_and_needs_one_pass_with_more(database_dsn: str) -> None:
    execute(
        database_dsn,
        f"create table queen.big with (autovacuum_enabled = off) as select n from generate_series(1, {ROWS}) n",
        "create index on queen.big (n)",
        f"delete from queen.big where n < {ROWS}",
    )
    little = {"maintenance_work_mem": _least(database_dsn), "vacuum_cost_delay": "10", "vacuum_cost_limit": "400"}
    with slow_vacuum(database_dsn, "queen.big", **little) as pid, session(database_dsn, autocommit=True) as watcher:
        watcher.execute("set enable_seqscan = off")
        passes = "select max(index_vacuum_count) - 1 from pg_stat_progress_vacuum where pid = %s"
        await_that(watcher, passes, [pid])
        # A scan of the index alone keeps hold of its last page, where the next pass has to wait for it.
        watcher.execute("begin")
        watcher.execute("declare held cursor for select n from queen.big order by n desc")
        assert watcher.execute("fetch 1 from held").fetchone() == (ROWS,)
        finding = only(look(database_dsn, "V9", at_once=True))
        assert finding.object == "queen.big"
        assert finding.evidence["passes"] >= 2
        assert finding.evidence["dead_rows"] == ROWS - 1
        assert (finding.evidence["auto"], finding.fix) == (False, None), "its session decides on its memory"
    assert look(database_dsn, "V9").status == "ok", "no vacuum runs"
    with session(database_dsn, autocommit=True) as worker:
        told: list[str] = []
        worker.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        worker.execute("set maintenance_work_mem = '16MB'")
        worker.execute("vacuum (verbose) queen.big")
    scanned = [text for text in told if "index scans: 1\n" in text or text.startswith("scanned index")]
    assert len(scanned) == 1, "15 and later sum it up, before there is a line for each pass"


def _least(dsn: str) -> str:
    with session(dsn) as one:
        return "64kB" if one.info.server_version >= 170000 else "1MB"


def _judge(row: Row, *settings: Row) -> list[Finding]:
    return list(CHECK.evaluate(seen_with(CHECK, {"vacuums": [{**ROW, **row}]}, facts=facts(*settings))))


def test_memory_is_what_autovacuum_may_use_and_the_fix_holds_the_dead_rows() -> None:
    plenty = setting("maintenance_work_mem", "65536", unit="kB")
    [finding] = _judge({}, setting("autovacuum_work_mem", "-1", unit="kB"), plenty)
    assert finding.evidence["autovacuum_work_mem_bytes"] == 64 << 20
    assert finding.fix is not None
    assert finding.fix.apply[0] == "ALTER SYSTEM SET autovacuum_work_mem = '344MB'", "6 bytes a row and a fifth more"
    assert _judge({"passes": 1}, plenty) == []
    [finding] = _judge({}, setting("autovacuum_work_mem", "1048576", unit="kB"), plenty)
    assert finding.fix is None, "more than 1 GB would not be used"
