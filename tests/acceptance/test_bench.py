"""`queen bench` from end to end on a system of its own, and what it leaves behind: nothing."""

from __future__ import annotations

import html
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import queen_command
from tests.support.quiet_moment import in_a_quiet_moment
from tests.support.server import wait_until

pytestmark = pytest.mark.pg
_SMOKE = ("--profile", "smoke", "--warmup", "1s", "--duration", "3s", "--slo", "p99(e2e)<20s")


def left_over(folder: Path) -> list[str]:
    """Processes that name a folder below this one, and what lies in it."""
    found = [f"file {name}" for name in os.listdir(folder) if name.startswith("queen-bench-")]
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder) in (entry / "cmdline").read_bytes().decode(errors="replace"):
                found.append(f"process {entry.name}")
        except OSError:
            continue
    return found


@pytest.fixture
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open folder for temporary files: PostgreSQL may run as another user."""
    from tests.support.fix_server import open_folder

    return open_folder()


@pytest.mark.spec("R4")
def test_a_whole_run_passes_and_leaves_only_its_files(postgres_programs: Path, tmp_path: Path, places: Path) -> None:
    insert = ("--slo", "p50(insert)<20s")
    asked = ("bench", *_SMOKE, *insert, "--output", str(tmp_path / "out"))
    done = in_a_quiet_moment(lambda: queen_command(tmp_path, *asked, TMPDIR=str(places)))
    assert done.code == 0, done.err
    line = done.out.decode().splitlines()[-1]
    assert line.startswith("PASS 500 msg/s")
    assert " · bottleneck: " in line
    result = json.loads((tmp_path / "out" / "result.json").read_text("utf-8"))
    ledger = result["ledger"]
    assert ledger["complete"]
    assert ledger["accepted"] == ledger["acked"]
    assert not result["partial"]
    check_other_side(result)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert html.escape(line) in page
    shown = queen_command(tmp_path, "bench", "show", str(tmp_path / "out" / "result.json"))
    assert (shown.code, shown.out.decode().splitlines()[-1]) == (0, line)
    wait_until(lambda: left_over(places) == [], "everything to be gone")


def check_other_side(result: dict[str, Any]) -> None:
    """What servers and PostgreSQL did is there, and where it was."""
    server, postgres = result["server"], result["postgres"]
    assert server["durability"] == "committed"
    assert server["counters"]["push_messages"] > 1000
    assert server["cpu_s"] > 0
    assert postgres["counters"]["wal_bytes"] > 100_000
    assert postgres["samples"] > 0
    unknown = [name for name, value in result["costs"].items() if value is None]
    assert unknown == []
    assert result["bottleneck"]
    assert result["latency"]["insert"]["count"] > 100
    assert result["histograms"]["insert"]
    assert any(result["slices"]["insert"])
    fingerprint = result["fingerprint"]
    assert fingerprint["postgres"]["synchronous_standbys"] == 0
    assert fingerprint["topology"]["colocated"]
    assert fingerprint["settings"]["values"]["database.schema"] == "queen"
    assert result["fingerprint_hash"]
    measured = [place for place, phase in enumerate(result["series"]["phase"]) if phase == "measure"]
    for name in ("server_cpu", "wal_bytes_per_s", "statements_per_s", "insert_p50_ms"):
        assert any(result["series"]["values"][name][place] for place in measured), name
