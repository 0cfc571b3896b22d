"""The fingerprint: complete, without names and places, and its hash over what must match; noise."""

from __future__ import annotations

import asyncio
import getpass
import socket
from pathlib import Path
from typing import Any

import msgspec

from queen.bench.fingerprint import collect, match_hash, safe_settings
from queen.bench.machine import disk, machine
from queen.bench.noise import busy_others, changed_under_way, throttlings
from queen.measure.processes import Process
from queen.store.probe import Probe


def collected(dsn: str, folder: Path) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with Probe(dsn) as probe:
            return await collect(folder=folder, probe=probe)

    return asyncio.run(run())


def test_it_names_software_and_no_places(database_dsn: str, tmp_path: Path) -> None:
    found = collected(database_dsn, tmp_path)
    assert found["postgres"]["schema_version"] >= 1
    assert found["postgres"]["settings"]["fsync"]["value"] in ("on", "off")
    assert found["postgres"]["pooler"] is False
    assert "partitions" in found["postgres"]["storage"]
    assert found["disk"]["fdatasync_p50_ms"] > 0
    text = msgspec.json.encode(found).decode()
    assert str(tmp_path) not in text
    assert str(Path.home()) + "/" not in text
    for name in (socket.gethostname(), getpass.getuser()):
        assert f'"{name}"' not in text
    assert list(tmp_path.iterdir()) == []


def test_the_hash_follows_the_machine_and_not_the_moment() -> None:
    one = {"machine": {"cores": 2}, "disk": {"fdatasync_p50_ms": 1.0}, "load_before": 0.1, "queen": {"version": "1"}}
    other = {"machine": {"cores": 2}, "disk": {"fdatasync_p50_ms": 2.0}, "load_before": 3.0, "queen": {"version": "2"}}
    assert match_hash(one) == match_hash(other)
    assert match_hash(one) != match_hash({**one, "machine": {"cores": 4}})


def test_settings_lose_addresses_and_places() -> None:
    shown = {"database": {"url": "postgresql://u:p@h/d", "pool_size": 16}, "log": {"x": "/a/b"}}
    assert safe_settings(shown)["values"] == {"database.url": "(set)", "database.pool_size": 16, "log.x": "(set)"}


def test_where_nothing_is_told_it_is_null(tmp_path: Path) -> None:
    found = machine(proc=tmp_path, sys=tmp_path)
    assert found["cpu"] is found["governor"] is found["turbo"] is found["smt"] is found["memory_bytes"] is None
    assert disk(tmp_path, proc=tmp_path, sys=tmp_path)["filesystem"] is None


def test_a_busy_stranger_is_noise_and_our_own_child_is_not() -> None:
    def table(stranger_s: float, child_s: float) -> dict[int, Process]:
        return {
            1: Process(1, 0, "us", 0, 0),
            2: Process(2, 1, "child", child_s, 0),
            3: Process(3, 0, "stranger", stranger_s, 0),
        }

    assert busy_others(table(0, 0), table(1.5, 3), 3.0, {1}) == ["another process is busy: stranger (50 % of a core)"]
    assert busy_others(table(0, 0), table(0.1, 3), 3.0, {1}) == []


def test_throttling_is_counted(tmp_path: Path) -> None:
    assert throttlings(tmp_path) == 0
    (tmp_path / "fs/cgroup").mkdir(parents=True)
    (tmp_path / "fs/cgroup/cpu.stat").write_text("nr_periods 9\nnr_throttled 3\n")
    assert throttlings(tmp_path) == 3


def test_a_change_under_way_is_named() -> None:
    start = {"postgres": {"settings": {"fsync": "on"}}, "load_before": 1}
    end = {"postgres": {"settings": {"fsync": "off"}}, "load_before": 2}
    assert changed_under_way(start, end) == ["postgres.settings.fsync was on and is off"]
    assert changed_under_way(start, start) == []
