"""M4 on a real PostgreSQL: with large buffers, of which the machine gives only what is touched; and with small ones and
a limit brought down to them, for which a dozen huge pages are really reserved (slow tier)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from queen.doctor.checks.memory import m4_huge_pages as m4
from queen.doctor.finding import Threshold
from queen.doctor.probes import memory
from queen.doctor.probes.host import Host
from queen.doctor.probes.memory import MachineMemory
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import look, only
from tests.support.own_cluster import OwnCluster
from tests.support.versions import locked

GIB = 1 << 30
SMALL = {"limit": Threshold(15 << 20, None, "bytes of shared_buffers")}
LARGE = setting("shared_buffers", str(16 * GIB // 8192), unit="8kB")


def test_large_buffers_in_small_pages_are_found_and_small_ones_need_none(own_cluster: OwnCluster) -> None:
    machine = memory.look(own_cluster.pid)
    if machine is None or machine.limit < 12 * GIB or machine.huge_pages > 0:
        pytest.skip("needs a Linux machine of 12 GB that has no huge pages reserved")
    own_cluster.execute("alter system set shared_buffers = '8GB'")
    own_cluster.restart()
    try:
        finding = only(look(own_cluster.dsn, "M4"))
        assert finding.status == "info"
        assert finding.evidence["shared_buffers_MB"] == 8192
        assert finding.evidence["huge_pages"] == "try", "they are wanted, and not there"
        assert finding.evidence["pages_needed"] > 4096
        assert finding.evidence["pages_there"] == 0
    finally:
        own_cluster.execute("alter system reset shared_buffers")
        own_cluster.restart()
    assert look(own_cluster.dsn, "M4").status == "ok", "16 MB need none"


@pytest.fixture
def machine_alone() -> Iterator[None]:
    """No other run of the tests reserves huge pages meanwhile: there is one number for all."""
    with locked(Path(tempfile.gettempdir()) / "queen-test-huge-pages"):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("machine_alone")
def test_with_the_pages_that_the_fix_reserves_it_is_gone(own_cluster: OwnCluster) -> None:
    machine = memory.look(own_cluster.pid)
    if machine is None or machine.huge_pages > 0 or not os.access("/proc/sys/vm/nr_hugepages", os.W_OK):
        pytest.skip("needs root on a Linux machine that has no huge pages reserved")
    finding = only(look(own_cluster.dsn, "M4", thresholds=SMALL))
    pages = finding.evidence["pages_needed"]
    assert 8 <= pages < 100
    assert finding.fix is not None
    assert finding.fix.apply[0] == f"sysctl -w vm.nr_hugepages={pages}"
    try:
        subprocess.run(finding.fix.apply[0].split(), check=True, capture_output=True)
        own_cluster.restart()
        assert look(own_cluster.dsn, "M4", thresholds=SMALL).status == "ok"
        said = own_cluster.value("select min(setting) from pg_settings where name = 'huge_pages_status'")
        assert said in (None, "on"), "from 17 on PostgreSQL says so itself"
    finally:
        own_cluster.stop()
        subprocess.run(finding.fix.undo[0].split(), check=True, capture_output=True)
        own_cluster.start()
    assert only(look(own_cluster.dsn, "M4", thresholds=SMALL)).evidence["pages_there"] == 0


@pytest.mark.parametrize(("status", "count"), [("on", 0), ("off", 1)])
def test_from_17_on_postgresql_says_it(status: str, count: int) -> None:
    known = facts(LARGE, setting("huge_pages_status", status), setting("shared_memory_size_in_huge_pages", "8400"))
    found = list(m4.evaluate(seen_with(m4.CHECK, {}, facts=known)))
    assert len(found) == count
    assert all(finding.evidence["pages_needed"] == 8400 for finding in found)


@pytest.mark.parametrize(("pages", "count"), [(8400, 0), (100, 1)])
def test_before_17_the_machine_says_it(pages: int, count: int) -> None:
    there = MachineMemory(64 * GIB, 64 * GIB, 32 * GIB, "the machine", 0, 0, 0, 0, pages, 2 << 20)
    host = Host(0.0, 0.0, 0.0, memory=there)
    known = facts(LARGE, setting("huge_pages", "try"))
    assert len(list(m4.evaluate(seen_with(m4.CHECK, {}, facts=known, host=host)))) == count
