"""Each fault through the real `queen bench --chaos`, on a server and a database of its own: the ledger stays clean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from queen.bench.chaos import parse
from queen.bench.fault_kinds import KINDS
from tests.support.command import queen_command

pytestmark = [pytest.mark.pg, pytest.mark.slow]

LEASE_S = 3
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
warmup_s: 1
"""
LENGTHS = {"kill-server": "+1s", "drain-server": "+1s", "stall-consumer": f"+{LEASE_S * 1.4:g}s"}
"""Others last 5 s: what they do to a rate over minutes is no matter of a test."""


def text_of(name: str, start_s: int = 6) -> str:
    return f"{name}@{start_s}s{LENGTHS.get(name, '+5s')}"


def run(folder: Path, chaos: str, *options: str) -> dict[str, Any]:
    """The result of one run with faults, whose ledger is clean."""
    seconds = parse(chaos, lease_s=LEASE_S).needs_s
    (folder / "chaos.yaml").write_text(PROFILE, encoding="utf-8")
    output = folder / "out"
    arguments = ["--profile", str(folder / "chaos.yaml"), "--chaos", chaos, "--duration", f"{seconds:g}s"]
    arguments += ["--workers", "1", "--output", str(output), "--quiet", *options]
    done = queen_command(folder, "bench", *arguments)
    # Whether the objectives held under a fault on a machine of whatever speed is not the matter here.
    assert done.code in (0, 1, 5), (done.out, done.err)
    result: dict[str, Any] = json.loads((output / "result.json").read_text("utf-8"))
    ledger = result["ledger"]
    assert [ledger[word] for word in ("lost", "corrupt", "ghost", "reordered")] == [0, 0, 0, 0], ledger["anomalies"]
    assert (ledger["complete"], ledger["unacked"]) == (True, 0)
    assert ledger["accepted"] > 0
    assert not result["partial"]
    return result


def faults_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Its faults, all of which were done."""
    [measure] = [phase for phase in result["phases"] if phase["name"] == "measure"]
    for fault in result["faults"]:
        assert fault["baseline_per_s"] > 0
        assert not [note for note in fault["notes"] if "could not be done" in note]
        # On the run's clock, as all series are.
        assert measure["start_s"] < fault["at_s"] < measure["end_s"]
    found: list[dict[str, Any]] = result["faults"]
    return found


@pytest.mark.parametrize("name", KINDS)
def test_the_ledger_stays_clean_through_a_fault(name: str, tmp_path: Path, postgres_programs: Path) -> None:
    [fault] = faults_of(run(tmp_path, text_of(name)))
    assert fault["name"] == name
    if name == "kill-server":
        assert fault["dip_per_s"] < fault["baseline_per_s"] / 2
    if name == "restart-pg":  # a small PostgreSQL is back in less than a second
        assert fault["dip_per_s"] < 0.9 * fault["baseline_per_s"]
    if name == "stall-consumer":
        assert fault["affected"]["ack_refused"] > 0
        assert fault["affected"]["redelivered"] > 0


def test_another_server_goes_on_meanwhile(tmp_path: Path, postgres_programs: Path) -> None:
    result = run(tmp_path, f"{text_of('kill-server')},{text_of('drain-server', 18)}", "--servers", "2")
    kill, drain = faults_of(result)
    assert "connect" not in result["errors"], "the other server takes every connection"
    assert not [note for fault in (kill, drain) for note in fault["notes"] if "only server" in note]
    assert result["ledger"]["unknown"] == kill["affected"]["unknown"], "what was under way with the one that was killed"
    errors = zip(result["series"]["second"], result["series"]["values"]["errors"], strict=True)
    assert not [(second, count) for second, count in errors if second >= drain["at_s"] - 1 and count]
    assert not [note for note in drain["notes"] if "clients saw" in note or "did not end" in note]
