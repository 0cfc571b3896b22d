"""The formulas of throughput at stake, with figures that can be checked by hand."""

from __future__ import annotations

from queen.doctor import stake
from queen.doctor.finding import NO_STAKE
from queen.doctor.probes.waits import Waits


def test_half_of_the_time_in_a_wait_can_bring_as_much_again_at_most() -> None:
    found = stake.wait_share(0.5)
    assert (found.kind, found.high_pct, found.time_share) == ("bound", 100.0, 0.5)
    assert stake.wait_share(0.5, removed=0.5).high_pct == 33.3


def test_a_wait_of_sessions_that_stand_in_no_line_is_no_rate() -> None:
    """One session that is half of its time in fsync keeps up with what it is asked for."""
    assert stake.of_waits(Waits(100, 55, {"IO:WALSync": 55}), "IO:WALSync") == NO_STAKE
    assert stake.of_waits(Waits(100, 200, {"IO:WALSync": 100, "CPU": 100}), "IO:WALSync").high_pct == 100.0


def test_less_log_a_message_carries_more_of_them() -> None:
    assert stake.wal_ceiling(546, 343).high_pct == 59.2
    assert stake.wal_ceiling(343, 546) == NO_STAKE


def test_a_statement_is_at_stake_by_its_share_of_the_time() -> None:
    assert stake.statement_share(0.5, 4.0, 2.0).high_pct == 33.3
    assert stake.statement_share(0.5, 2.0, 2.0) == NO_STAKE


def test_waiting_for_a_connection_is_weighed_against_holding_it() -> None:
    assert stake.little(1.0, 3.0).high_pct == 33.3


def test_more_rows_a_commit_save_time_in_commits() -> None:
    assert stake.commit_ceiling(1, 10, 0.5).high_pct == 81.8
    assert stake.commit_ceiling(10, 10, 0.5) == NO_STAKE
