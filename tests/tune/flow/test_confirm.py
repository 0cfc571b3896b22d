"""An apply that nobody confirms is undone by a process apart; one that was confirmed stays."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

import pytest

from queen.errors import CannotChange, TuneInputError, TuneRefused
from queen.tune.flow.confirm import confirm, start_watcher, watch
from queen.tune.flow.journal import Journal
from tests.support.server import wait_until
from tests.tune.flow.support import Ground

pytestmark = pytest.mark.pg


def _unconfirmed(ground: Ground) -> Journal:
    start = partial(start_watcher, dsn=ground.dsn)
    return ground.apply(kinds=["server", "role"], confirm_within_s=60.0, watch=start).journal


def _let_time_pass(journal: Journal) -> None:
    """Its time is over now, on disk, where the watcher looks."""
    journal.to("waiting", confirm_by=time.time() - 0.1)


def _is_running(pid: int) -> bool:
    """Whether the watcher, our child, still runs; one that has ended is taken away."""
    return os.waitpid(pid, os.WNOHANG) == (0, 0)


def test_nobody_confirms(ground: Ground) -> None:
    before = ground.files
    journal = _unconfirmed(ground)
    assert journal.state == "waiting"
    assert journal.watcher_pid is not None
    assert ground.value("show random_page_cost") == "1.25"
    with pytest.raises(TuneRefused, match="waits for its confirmation"):
        ground.apply()
    _let_time_pass(journal)
    wait_until(lambda: Journal.load(journal.folder).state == "undone", "the watcher to undo")
    wait_until(lambda: not _is_running(journal.watcher_pid or 0), "the watcher to end")
    assert ground.files == before
    assert ground.value("show random_page_cost") == "1.1"
    assert ground.value("select count(*) from pg_db_role_setting") == 0


def test_a_confirmed_apply_stays_and_its_watcher_ends(ground: Ground) -> None:
    journal = _unconfirmed(ground)
    assert _is_running(journal.watcher_pid or 0)
    assert os.getsid(journal.watcher_pid or 0) != os.getsid(0)
    assert confirm(ground.shelf).state == "applied"
    wait_until(lambda: not _is_running(journal.watcher_pid or 0), "the watcher to end")
    assert ground.value("show random_page_cost") == "1.25"
    with pytest.raises(TuneInputError, match="nothing waits"):
        confirm(ground.shelf)
    ground.rollback()
    assert ground.value("show random_page_cost") == "1.1"


def test_when_the_watcher_was_killed_the_next_run_undoes(ground: Ground) -> None:
    journal = _unconfirmed(ground)
    os.kill(journal.watcher_pid or 0, signal.SIGKILL)
    wait_until(lambda: not _is_running(journal.watcher_pid or 0), "the watcher to end")
    with pytest.raises(TuneRefused):
        ground.apply(kinds=["server"])
    _let_time_pass(journal)
    with pytest.raises(TuneRefused, match="time for the confirmation is over"):
        confirm(ground.shelf)
    done = ground.apply(kinds=["server"])
    assert [undone.folder for undone in done.undone] == [journal.folder]
    ground.rollback()


def test_a_watcher_waits_for_another_run_and_gives_up_in_the_end(ground: Ground) -> None:
    journal = ground.apply(kinds=["role"], confirm_within_s=0.05).journal
    with ground.shelf.locked():
        with pytest.raises(CannotChange, match="given up: another queen tune-pg is at work"):
            watch(journal, ground.dsn, poll_s=0.02, patience_s=0.3)
        watcher = threading.Thread(target=watch, args=(journal, ground.dsn), kwargs={"poll_s": 0.02})
        watcher.start()
    watcher.join(20)
    assert Journal.load(journal.folder).state == "undone"
    assert ground.value("select count(*) from pg_db_role_setting") == 0
