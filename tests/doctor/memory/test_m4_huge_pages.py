"""M4 on a real PostgreSQL, with a limit brought down; no test may reserve huge pages of the machine."""

from __future__ import annotations

import pytest

from queen.doctor.checks.memory import m4_huge_pages as m4
from queen.doctor.finding import Threshold
from queen.doctor.probes.host import Host
from queen.doctor.probes.memory import MachineMemory
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import look, only
from tests.support.own_cluster import OwnCluster

GIB = 1 << 30
LARGE = setting("shared_buffers", str(16 * GIB // 8192), unit="8kB")


def test_large_buffers_get_the_number_of_pages_and_small_ones_none(own_cluster: OwnCluster) -> None:
    limit = {"limit": Threshold(15 << 20, None, "bytes of shared_buffers")}
    own_cluster.execute("alter system set huge_pages = off")
    own_cluster.restart()
    try:
        finding = only(look(own_cluster.dsn, "M4", thresholds=limit))
        assert finding.status == "info"
        assert finding.evidence["shared_buffers_MB"] == 16
        assert finding.evidence["pages_needed"] >= 8
        assert finding.fix is not None
        assert finding.fix.apply[0] == f"sysctl -w vm.nr_hugepages={finding.evidence['pages_needed']}"
        assert look(own_cluster.dsn, "M4").status == "ok", "16 MB need none"
    finally:
        own_cluster.execute("alter system reset huge_pages")
        own_cluster.restart()


@pytest.mark.parametrize(("status", "count"), [("on", 0), ("off", 1)])
def test_from_17_on_postgresql_says_it(status: str, count: int) -> None:
    known = facts(LARGE, setting("huge_pages_status", status), setting("shared_memory_size_in_huge_pages", "8400"))
    found = list(m4.evaluate(seen_with(m4.CHECK, {}, facts=known)))
    assert len(found) == count
    assert all(finding.evidence["pages_needed"] == 8400 for finding in found)


@pytest.mark.parametrize(("pages", "count"), [(8400, 0), (100, 1)])
def test_before_17_the_machine_says_it(pages: int, count: int) -> None:
    memory = MachineMemory(64 * GIB, 64 * GIB, 32 * GIB, "the machine", 0, 0, 0, 0, pages, 2 << 20)
    host = Host(0.0, 0.0, 0.0, memory=memory)
    known = facts(LARGE, setting("huge_pages", "try"))
    assert len(list(m4.evaluate(seen_with(m4.CHECK, {}, facts=known, host=host)))) == count
