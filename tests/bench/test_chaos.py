"""Each fault through the real `queen bench --chaos`, on a server and a database of its own: the ledger stays clean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer.main

from queen.bench.chaos import parse
from queen.bench.fault_kinds import KINDS
from queen.cli.main import app
from tests.support.command import queen_command

pytestmark = [pytest.mark.pg, pytest.mark.slow]

LEASE_S = 4
PROFILE = f"""
name: chaos
rate: 500
arrivals: uniform
partitions: 20
push_batch: 5
connections: 8
consumers: 4
pop_wait_ms: 500
lease_s: {LEASE_S}
warmup_s: 5
"""
LENGTHS = {"pin-xmin": "+12s", "readers": "+12s", "restart-pg": "+6s", "kill-server": "+1s", "drain-server": "+1s"}


def _has_bench() -> bool:
    return "bench" in getattr(typer.main.get_command(app), "commands", {})


@pytest.mark.skipif(not _has_bench(), reason="queen bench is not there yet")
@pytest.mark.parametrize("name", KINDS)
def test_the_ledger_stays_clean_through_a_fault(name: str, tmp_path: Path, postgres_programs: Path) -> None:
    chaos = f"{name}@8s{LENGTHS.get(name, '')}"
    seconds = parse(chaos, lease_s=LEASE_S).needs_s
    (tmp_path / "chaos.yaml").write_text(PROFILE, encoding="utf-8")
    output = tmp_path / "out"
    arguments = ["--profile", str(tmp_path / "chaos.yaml"), "--chaos", chaos, "--duration", f"{seconds:g}s"]
    done = queen_command(tmp_path, "bench", *arguments, "--output", str(output), "--quiet")
    # Whether the objectives held under a fault on a machine of whatever speed is not the matter here.
    assert done.code in (0, 1, 5), done.err
    result = json.loads((output / "result.json").read_text("utf-8"))
    ledger = result["ledger"]
    assert [ledger[word] for word in ("lost", "corrupt", "ghost", "reordered")] == [0, 0, 0, 0], ledger["anomalies"]
    assert ledger["complete"]
    assert ledger["accepted"] > 0
    [fault] = result["faults"]
    assert fault["name"] == name
    assert fault["baseline_per_s"] > 0
    assert not [note for note in fault["notes"] if "could not be done" in note]
    if name == "stall-consumer":
        assert fault["affected"]["ack_refused"] > 0
