"""`queen tune-pg --measure`: the trials that it asks the bench for, and what it prints. Runs are the bench's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from queen.bench import machine
from queen.bench.ask import Ask
from queen.bench.result import Campaign, Verdict
from queen.cli import console
from queen.cli.bench import execute
from queen.cli.main import run
from queen.cli.tune_pg import measure

MACHINE = ("--memory", "8GiB", "--cpus", "4", "--storage", "ssd")


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Ask]:
    """What the bench would have been asked; it answers that B is better, after ten minutes."""
    now = [0.0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEEN_EMBEDDED__DATA_DIR", str(tmp_path / "data"))
    made: list[Ask] = []

    async def run_shown(ask: Ask, _systems: object) -> tuple[Any, int]:
        made.append(ask)
        now[0] += 600
        figures = {"word": "better", "ratio": 0.9, "low": 0.85, "high": 0.95}
        metrics = [{"name": name, **figures} for name in ("response_p99", "e2e_p99")]
        return _campaign({"word": "better", "pairs": 5, "metrics": metrics}), 0

    monkeypatch.setattr(execute, "run_shown", run_shown)
    monkeypatch.setattr(machine, "disk", lambda _folder: {"filesystem": "ext4"})
    monkeypatch.setattr(measure, "clock", lambda: now[0])
    return made


def _campaign(comparison: dict[str, Any]) -> Campaign:
    return Campaign(
        kind="ab",
        queen_version="0",
        started_at="",
        duration_s=1,
        partial=False,
        command="",
        steps=[],
        runs=[],
        comparison=comparison,
        verdict=Verdict(word="pass", exit_code=0, line="PASS", reasons=[]),
        notes=[],
    )


def test_plan_and_plan_with_one_more_run_in_turns_under_the_load_of_the_plan(
    asks: list[Ask], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--target", "2k", "--payload", "300B", "--groups", "2", "--measure", "--budget", "2h", "--json")
    assert run(["tune-pg", *MACHINE, *words]) == console.DONE
    document = json.loads(capsys.readouterr().out)
    first, last = asks[0], asks[-1]
    assert first.mode == "ab"
    assert (first.workload.rate, first.workload.payload_bytes, first.workload.groups) == (2000, 300, 2)
    assert first.workload.push_batch == 2
    assert first.sides is not None
    assert (first.sides.order[:4], len(first.sides.order)) == (("A", "B", "B", "A"), 10)
    assert (first.sides.a.settings, first.sides.b.settings) == ((), ("engine.pop_gather_ms = 15",))
    assert first.sides.a.postgres == first.sides.b.postgres
    assert "shared_buffers = 2GB" in first.sides.a.postgres
    assert last.sides is not None
    assert set(last.sides.b.postgres) - set(last.sides.a.postgres) == {"wal_compression = on"}
    assert last.sides.a.settings[-1] == "engine.pop_flushes_max = 2", "what was kept stays"
    assert last.sides.a.tables == last.sides.b.tables != ()
    trial = document["trials"][-1]
    assert (trial["name"], trial["kept"], trial["tried"]) == ("wal_compression", True, True)
    assert any("never tried" in note["why"] for note in document["not_tried"])


def test_what_was_kept_is_printed_as_a_statement(asks: list[Ask], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune-pg", *MACHINE, "--measure", "--budget", "2h"]) == console.DONE
    out = capsys.readouterr().out
    assert "kept  wal_compression = on" in out
    assert "better: response_p99 B/A 0.900 (0.850 to 0.950), 5 pairs" in out
    assert "ALTER SYSTEM SET wal_compression = 'on';" in out
    assert "ALTER TABLE queen.cursors SET (autovacuum_vacuum_threshold = '1000');" in out
    assert "QUEEN_ENGINE__PUSH_FLUSHES_MAX=2" in out


def test_a_budget_for_three_trials_makes_three_and_says_so(asks: list[Ask], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune-pg", *MACHINE, "--measure"]) == console.DONE
    out, err = capsys.readouterr()
    assert len(asks) == 3
    assert "3 of 6 trials fit the budget" in err
    assert "-     wal_compression = on" in out


def test_a_pace_that_was_set_is_part_of_both_sides(asks: list[Ask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEEN_ENGINE__PUSH_FLUSHES_MAX", "3")
    assert run(["tune-pg", *MACHINE, "--measure"]) == console.DONE
    assert asks[0].sides is not None
    assert asks[0].sides.a.settings == ("engine.push_flushes_max = 3",)


def test_a_trial_without_a_comparison_is_no_answer(
    asks: list[Ask], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def invalid(_ask: Ask, _systems: object) -> tuple[Any, int]:
        verdict = Verdict(word="invalid", exit_code=5, line="INVALID the generator was too slow", reasons=[])
        return msgspec.structs.replace(_campaign({}), comparison=None, verdict=verdict), 0

    monkeypatch.setattr(execute, "run_shown", invalid)
    assert run(["tune-pg", *MACHINE, "--measure"]) == 5
    assert "INVALID the generator was too slow" in capsys.readouterr().out


def test_a_budget_that_is_too_small_and_options_that_do_not_fit(asks: list[Ask]) -> None:
    assert run(["tune-pg", *MACHINE, "--measure", "--budget", "2m"]) == console.USAGE
    assert run(["tune-pg", *MACHINE, "--measure", "--pairs", "4"]) == console.USAGE
    assert run(["tune-pg", *MACHINE, "--diff", "--budget", "30m"]) == console.USAGE
    assert asks == []


def test_a_disk_that_is_memory_is_refused(
    asks: list[Ask], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "disk", lambda _folder: {"filesystem": "tmpfs"})
    assert run(["tune-pg", *MACHINE, "--measure"]) == console.USAGE
    assert "TMPDIR" in capsys.readouterr().err
    assert asks == []
