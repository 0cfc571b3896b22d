"""Polls are parked and renewed, each push wakes one of its queue, and what cannot be had is said before it is tried."""

from __future__ import annotations

import resource
from pathlib import Path

import msgspec
import pytest

from benchmarks.idle import main
from benchmarks.lib.idling import IdleRecord, _rate
from benchmarks.lib.postgres import PgCounters
from tests.benchmarks.conftest import Serve

QUICK = [*("--polls", "40", "--queues", "7", "--wakes", "5", "--seconds", "1", "--poll-timeout", "4", "--settle", "0")]


def test_polls_wait_are_renewed_and_woken(serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    assert main([*QUICK, "--url", serve(""), "--output", str(file)]) == 0, capsys.readouterr()
    result = msgspec.json.decode(file.read_bytes(), type=IdleRecord)
    assert [(window.name, window.polls) for window in result.windows] == [
        ("no polls", 0),
        ("parked", 40),
        ("renewing", 40),
    ]
    assert result.windows[1].renewed == 0
    assert result.windows[2].renewed >= 30
    assert result.wake is not None
    assert result.wake.count == 5
    assert all(window.server_rss_bytes for window in result.windows)
    assert "result   valid" in capsys.readouterr().out


def test_polls_that_end_too_early_make_it_not_valid(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--url", serve(""), "--seconds", "2", "--poll-timeout", "0.5", "--no-save"]) == 5
    assert "ask for a longer --poll-timeout" in capsys.readouterr().out


def test_a_server_that_refuses_is_reported(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    url = serve("busy")
    assert (
        main([*QUICK, *("--queues", "600", "--polls", "600", "--poll-timeout", "0.5"), "--url", url, "--no-save"]) == 5
    )
    assert "push answered 503" in capsys.readouterr().out


def test_too_few_open_files_are_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert main(["--no-save", "--url", "http://127.0.0.1:1"]) == 3
    assert "need 10,200 open files and this machine allows 4,096" in capsys.readouterr().err


def test_statements_of_the_meter_itself_are_left_out() -> None:
    first, second, last = (PgCounters(0, 0, 0, 0, 0, statements) for statements in (100, 104, 168))
    assert _rate(second, last, first, "statements", 10.0) == pytest.approx(6.0)
    blind = PgCounters(0, 0, 0, 0, 0, None)
    assert _rate(blind, blind, blind, "statements", 10.0) is None
    assert _rate(None, None, None, "statements", 10.0) is None
