"""The bench against a sink with faults, through the real command: each fault is found, and named for what it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from queen.bench import sink
from tests.support.command import Done, warm_command
from tests.support.quiet_moment import in_a_quiet_moment

# The limit is wide, so that a busy machine makes no verdict of its own.
_QUICK = ("--profile", "smoke", "--warmup", "1s", "--duration", "3s", "--workers", "1", "--slo", "p99(e2e)<20s")


def bench(home: Path, *faults: str, options: tuple[str, ...] = ()) -> tuple[Done, dict[str, Any]]:
    """The finished command and its result file."""

    def run() -> Done:
        with sink.running(faults) as target:
            return warm_command(home, "bench", "--url", target.url, *_QUICK, "--output", str(home / "out"), *options)

    done = in_a_quiet_moment(run)
    return done, json.loads((home / "out" / "result.json").read_text("utf-8"))


def test_a_clean_run_passes(tmp_path: Path) -> None:
    done, result = bench(tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith(b"PASS 500 msg/s")
    ledger = result["ledger"]
    assert ledger["complete"]
    assert ledger["accepted"] == ledger["delivered"] == ledger["acked"] > 1000
    assert result["null_run"]["ok"]
    assert [phase["name"] for phase in result["phases"]] == ["null_run", "setup", "warmup", "measure", "drain"]


_FAULTS = {"drop=700": "lost", "swap=900": "reordered", "corrupt=1100": "corrupt", "ghost=1300": "ghost"}


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([*_FAULTS], id="all"),
        # One run shows that all are found; that each by itself is enough is the subject of tests/bench/test_verdict.py.
        *(pytest.param([fault], id=found, marks=pytest.mark.slow) for fault, found in _FAULTS.items()),
    ],
)
def test_what_must_never_be_is_wrong(tmp_path: Path, faults: list[str]) -> None:
    done, result = bench(tmp_path, *faults, options=("--drain-timeout", "6s"))
    assert done.code == 6, done.err
    assert done.out.startswith(b"WRONG")
    for found in (_FAULTS[fault] for fault in faults):
        assert result["ledger"][found] >= 1, found
        assert f"{found} ".encode() in done.out


def test_a_duplicate_is_counted_and_is_not_wrong(tmp_path: Path) -> None:
    done, result = bench(tmp_path, "duplicate=700")
    assert done.code == 0, done.err
    assert result["ledger"]["duplicated"] == 1


def test_a_cut_connection_is_unknown(tmp_path: Path) -> None:
    done, result = bench(tmp_path, "cut=100")
    assert done.code in (0, 1), done.err
    ledger = result["ledger"]
    assert (ledger["unknown"] > 0, ledger["lost"], ledger["ghost"]) == (True, 0, 0)


def test_a_stall_shows_in_response_and_not_in_service(tmp_path: Path) -> None:
    _, result = bench(tmp_path, "stall=1s@13s", options=("--duration", "10s"))
    response, service = result["latency"]["response"], result["latency"]["service"]
    assert response["max"] > 800
    assert response["p95"] > service["p95"]


def test_a_rate_beyond_the_generator_is_invalid(tmp_path: Path) -> None:
    options = ("--target", "300k", "--push-batch", "1", "--slo", "p99(e2e)<50ms", "--duration", "2s")
    done, _ = bench(tmp_path, options=(*options, "--drain-timeout", "2s"))
    assert done.code == 5, done.err
    assert b"INVALID generator-limited" in done.out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--profile", "smokee"), "did you mean smoke"),
        (("--slo", "p99(e2ee)<50ms"), "e2e"),
        (("--chaos", "kill-sever@10s"), "kill-server"),
        (("--url", "http://127.0.0.1:9", "--servers", "2"), "--url names a running one"),
        (("--search", "--burst", "100"), "exclude each other"),
        (("--target", "fast"), "rate"),
    ],
)
def test_typos_and_contradictions_are_told_before_anything_starts(
    tmp_path: Path, options: tuple[str, ...], word: str
) -> None:
    done = warm_command(tmp_path, "bench", *options)
    assert done.code == 2
    assert word in done.err
    assert os.listdir(tmp_path) == []


def test_a_dead_address_and_a_foreign_server(tmp_path: Path) -> None:
    assert warm_command(tmp_path, "bench", "--url", "http://127.0.0.1:9").code == 3
    with sink.running(("not-queen",)) as target:
        done = warm_command(tmp_path, "bench", "--url", target.url)
    assert done.code == 3
    assert "not a Queen server" in done.err


def test_profiles_are_listed(tmp_path: Path) -> None:
    assert b"baseline-10k" in warm_command(tmp_path, "bench", "profiles").out
