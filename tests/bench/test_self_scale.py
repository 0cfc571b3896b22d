"""The same self-tests at the size that the method states: 10,000 messages a second for a minute. Minutes long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from queen.bench import sink
from tests.support.command import Done, queen_command

pytestmark = pytest.mark.slow

_LOAD = ("--target", "10k", "--connections", "50", "--warmup", "1s", "--workers", "1", "--slo", "p99(e2e)<20s")


def bench(home: Path, fault: str, seconds: int) -> tuple[Done, dict[str, Any]]:
    with sink.running([fault]) as target:
        options = (*_LOAD, "--duration", f"{seconds}s", "--drain-timeout", "10s", "--output", str(home / "out"))
        done = queen_command(home, "bench", "--url", target.url, *options)
    return done, json.loads((home / "out" / "result.json").read_text("utf-8"))


def test_a_stall_of_a_second_in_a_minute_shows_in_response_and_hardly_in_service(tmp_path: Path) -> None:
    """10,000 of 600,000 messages meet it, and 50 connections hold 500 of them: more and less than one in a thousand."""
    _, result = bench(tmp_path, "stall=1s@30s", 60)
    response, service = result["latency"]["response"], result["latency"]["service"]
    assert response["count"] > 550_000
    assert response["p99_9"] >= 900
    assert service["p99_9"] < 100


def test_one_lost_of_a_hundred_thousand_is_named_by_its_sequence(tmp_path: Path) -> None:
    done, result = bench(tmp_path, "drop=100000", 12)
    assert done.code == 6, done.err
    assert done.out.startswith(b"WRONG")
    ledger = result["ledger"]
    assert ledger["accepted"] > 100_000
    lost = [one for one in ledger["anomalies"] if one["kind"] == "lost"]
    assert ledger["lost"] == len(lost) == ledger["accepted"] // 100_000
    assert all(one["partition"] and one["sequence"] >= 0 for one in lost)
