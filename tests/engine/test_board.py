"""Shared numbers: what one process writes another reads, ended lives are counted once, a torn write is never seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from queen.engine.board import Board, Ledger, Numbers, Seat
from queen.measure.buckets import Buckets
from tests.support.server import wait_until


@pytest.fixture
def fileno() -> Iterator[int]:
    made = Board.create(2)
    yield made
    os.close(made)


@pytest.fixture
def board(fileno: int) -> Iterator[Board]:
    made = Board(fileno, 2)
    yield made
    made.close()


def numbers(pushed: int, parked: float = 0, *times: int) -> Numbers:
    buckets = Buckets()
    for time in times:
        buckets.record(time)
    return Numbers({"pushed": pushed}, {"parked": parked}, {"push_us": buckets})


@pytest.mark.spec("R19")
def test_an_empty_board_has_no_numbers(board: Board) -> None:
    assert board.read(1) is None
    assert board.total() == Numbers()


@pytest.mark.spec("R19")
def test_the_total_is_the_sum_of_what_each_process_wrote_last(board: Board, fileno: int) -> None:
    other = Board(fileno, 2)
    Seat(board, 1, 1).publish(numbers(5, 2, 10))
    Seat(other, 2, 1).publish(numbers(90, 1, 10, 1000))
    Seat(board, 1, 1).publish(numbers(6, 3, 10, 20))
    for reader in (board, other):
        total = reader.total()
        assert (total.totals, total.gauges) == ({"pushed": 96}, {"parked": 4})
        assert (total.buckets["push_us"].count, total.buckets["push_us"].sum) == (4, 1040)
    other.close()


def test_what_an_ended_process_counted_is_carried_on_and_counted_once(board: Board) -> None:
    ledger = Ledger(board)
    Seat(board, 1, 1).publish(numbers(10, 5, 10))
    Seat(board, 2, 1).publish(numbers(1, 1))
    ledger.end(1, 1, replaced=True)
    total = board.total()
    assert (total.totals["pushed"], total.gauges["parked"]) == (11, 1), "its totals remain, what it held is gone"
    Seat(board, 1, 2).publish(numbers(3, 2, 20))
    ledger.end(2, 1, replaced=True)
    total = board.total()
    assert (total.totals["pushed"], total.gauges["parked"]) == (14, 2)
    assert total.totals["worker_restarts"] == ledger.restarts == 2
    assert total.buckets["push_us"].sum == 30


def test_the_latest_restarts_are_told_with_their_causes(board: Board, fileno: int) -> None:
    assert board.restarts() == []
    ledger = Ledger(board)
    ledger.end(1, 1, replaced=True, how="signal=SIGKILL")
    ledger.end(2, 1, replaced=False, how="exit_code=0")
    assert [(one.worker, one.how) for one in Board(fileno, 2).restarts()] == [(1, "signal=SIGKILL")]
    for life in range(2, 100):
        ledger.end(1, life, replaced=True, how=f"exit_code={life}")
    found = board.restarts()
    assert (len(found), found[-1].how, ledger.restarts) == (50, "exit_code=99", 99)
    assert found == sorted(found)


def test_a_life_that_ended_before_it_wrote_anything_adds_nothing(board: Board) -> None:
    ledger = Ledger(board)
    Seat(board, 1, 1).publish(numbers(10))
    ledger.end(1, 1, replaced=True)
    ledger.end(1, 2, replaced=True)
    assert board.total().totals["pushed"] == 10


def test_numbers_that_do_not_fit_are_refused_and_the_last_ones_stay(board: Board) -> None:
    board.write(1, 1, numbers(1))
    with pytest.raises(ValueError, match="do not fit"):
        board.write(1, 1, Numbers({"x" * 100 + str(n): n for n in range(1000)}))
    assert board.total().totals == {"pushed": 1}


def test_a_reader_never_sees_half_a_write(board: Board) -> None:
    """Every write says the same number many times over."""
    stop = threading.Event()

    def write() -> None:
        value = 0
        while not stop.is_set():
            value += 1
            board.write(1, 1, Numbers({f"n{place}": value for place in range(50)}))

    board.write(1, 1, Numbers({f"n{place}": 0 for place in range(50)}))
    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen: set[int] = set()
        for _ in range(2000):
            row = board.read(1)
            if row is not None:
                assert len(set(row[0].totals.values())) == 1
                seen |= set(row[0].totals.values())
        assert seen
    finally:
        stop.set()
        thread.join()


WRITER = """
import sys
from queen.engine.board import Board, Numbers
board, value = Board(int(sys.argv[1]), 2), 0
while True:
    value += 1
    board.write(1, 1, Numbers({f"n{place}": value for place in range(50)}))
"""


def test_a_process_that_is_killed_while_it_writes_leaves_whole_numbers(board: Board, fileno: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(fileno)], pass_fds=[fileno])
    try:
        wait_until(lambda: board.read(1) is not None, "the first write")
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    row = board.read(1)
    assert row is not None
    assert len(set(row[0].totals.values())) == 1
