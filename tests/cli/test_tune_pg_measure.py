"""`queen tune-pg --measure`: the trials that it asks the bench for, and what it prints. Runs are the bench's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from queen.bench.ask import Ask
from queen.bench.result import Campaign, Verdict
from queen.cli import console
from queen.cli.bench import execute
from queen.cli.main import run

MACHINE = ("--memory", "8GiB", "--cpus", "4", "--storage", "ssd")


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Ask]:
    """What the bench would have been asked; it answers that B is better."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEEN_EMBEDDED__DATA_DIR", str(tmp_path / "data"))
    made: list[Ask] = []

    async def run_shown(ask: Ask, _systems: object) -> tuple[Any, int]:
        made.append(ask)
        metrics = [{"name": "response_p99", "word": "better"}]
        comparison = {"word": "better", "line": "BETTER response_p99 0.90 (0.85 to 0.95)", "metrics": metrics}
        return _campaign(comparison), 0

    monkeypatch.setattr(execute, "run_shown", run_shown)
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
    words = ("--target", "2k", "--payload", "300B", "--groups", "2", "--measure", "--json")
    assert run(["tune-pg", *MACHINE, *words]) == console.DONE
    document = json.loads(capsys.readouterr().out)
    [ask] = asks
    assert ask.mode == "ab"
    assert (ask.workload.rate, ask.workload.payload_bytes, ask.workload.groups) == (2000, 300, 2)
    assert ask.sides is not None
    assert (ask.sides.order[:4], len(ask.sides.order)) == (("A", "B", "B", "A"), 10)
    assert set(ask.sides.b.postgres) - set(ask.sides.a.postgres) == {"wal_compression = on"}
    assert "shared_buffers = 2GB" in ask.sides.a.postgres
    [trial] = document["trials"]
    assert (trial["name"], trial["kept"]) == ("wal_compression", True)
    assert any("never tried" in note["why"] for note in document["not_tried"])


def test_what_was_kept_is_printed_as_a_statement(asks: list[Ask], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune-pg", *MACHINE, "--measure"]) == console.DONE
    out = capsys.readouterr().out
    assert "kept  wal_compression = on" in out
    assert "BETTER response_p99 0.90" in out
    assert "ALTER SYSTEM SET wal_compression = 'on';" in out


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
