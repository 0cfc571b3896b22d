"""The first settings of a private PostgreSQL fit the machine, and stay modest on a large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from queen.embedded import conf
from queen.embedded.cluster import Cluster
from queen.embedded.tuned import first_configuration
from queen.settings import EmbeddedSettings
from queen.store.connect import admin
from queen.tune import machine
from queen.tune.inputs import GIB, MIB
from queen.tune.sizes import number_of
from tests.tune.test_forms import read_conf


def _on(monkeypatch: pytest.MonkeyPatch, memory: int | None, *, storage: str = "ssd", room: int = 100 * GIB) -> str:
    """The file on a machine with this much memory and free disk."""
    seen = None if memory is None else machine.Seen(memory, "a test")
    monkeypatch.setattr(machine, "memory", lambda: seen)
    monkeypatch.setattr(machine, "processors", lambda: machine.Seen(4, "a test"))
    monkeypatch.setattr(machine, "disk", lambda _: machine.Disk(storage, "a test"))  # type: ignore[arg-type]
    monkeypatch.setattr(machine, "wal_space", lambda _: room)
    return first_configuration(Path("anywhere"), 16)


def _mib(text: str, name: str) -> float:
    value = number_of(read_conf(text)[name], "MB")
    assert value is not None
    return value


def test_a_small_machine_gets_less_than_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _on(monkeypatch, 1 * GIB)
    assert _mib(text, "shared_buffers") <= 256
    assert _mib(text, "effective_cache_size") < 1024


def test_a_large_machine_is_not_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _on(monkeypatch, 256 * GIB)
    assert _mib(text, "shared_buffers") == 1024
    assert _mib(text, "max_wal_size") == 2048
    assert text == _on(monkeypatch, 64 * GIB)


def test_a_full_disk_and_a_slow_one_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _mib(_on(monkeypatch, 8 * GIB, room=2 * GIB), "max_wal_size") <= 820
    assert read_conf(_on(monkeypatch, 8 * GIB, storage="hdd"))["random_page_cost"] != "1.1"


@pytest.mark.parametrize(("memory", "room"), [(None, GIB), (128 * MIB, GIB), (8 * GIB, 100 * MIB)])
def test_without_a_plan_it_is_the_baseline(monkeypatch: pytest.MonkeyPatch, memory: int | None, room: int) -> None:
    assert _on(monkeypatch, memory, room=room) == conf.baseline()


def test_what_the_plan_does_not_know_stays_as_in_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    values, baseline = read_conf(_on(monkeypatch, 8 * GIB)), read_conf(conf.baseline())
    for name in ("max_connections", "work_mem", "timezone", "logging_collector", "log_parameter_max_length"):
        assert values[name] == baseline[name]
    assert baseline.keys() < values.keys()


def test_the_private_postgresql_runs_with_it(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster:
        text = (cluster.data_dir / "queen.conf").read_text("utf-8")
        assert "Fitted to this machine" in text
        shared = number_of(_show(cluster, "shared_buffers"), "MB")
        assert shared == _mib(text, "shared_buffers") <= 1024
        assert _show(cluster, "checkpoint_timeout") == "15min"


def _show(cluster: Cluster, name: str) -> str:
    with admin(cluster.dsn) as connection:
        row = connection.execute("select current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])
