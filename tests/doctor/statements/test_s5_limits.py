"""S5: limits as /proc and the control groups show them. Quotas are real in the slow tier, and invented where none can
be set. Time that a hypervisor takes away is invented: nothing inside a machine can make it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.probes.host import Host, Throttle, nofile, throttle
from tests.doctor.support import execute, look, meanwhile, only
from tests.support.fix_control_group import MakeGroup
from tests.support.own_cluster import OwnCluster

NO_STEAL = {"steal": Threshold(None, None)}  # of the machine that runs the tests
_HOST = Host(100.0, 50.0, 0.0, cpus=4)
_SERVER = """
import http.server, resource, sys, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))
def burn():
    while True:
        sum(range(1000))
if "burn" in sys.argv:
    threading.Thread(target=burn, daemon=True).start()
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def judged(before: Host, now: Host, seen: Seen) -> list[Finding]:
    """What S5 says of two looks ten seconds apart."""
    check = find("S5")
    seen = replace(seen, limits=check.thresholds, host=now, host_before=before, window_s=10.0)
    return list(check.evaluate(seen))


@contextmanager
def server(*arguments: str) -> Iterator[tuple[str, int]]:
    """Something that listens as a server does, with limits of its own: its URL and its process."""
    command = [sys.executable, "-c", _SERVER, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}", process.pid
        finally:
            process.terminate()


def test_a_server_that_may_open_few_files_is_found_and_gone_with_a_higher_limit(module_dsn: str) -> None:
    for allowed, status in ((600, "crit"), (10_000, "ok")):
        with server(str(allowed)) as (url, _):
            result = look(module_dsn, "S5", url=url, thresholds=NO_STEAL)
        assert result.status == status, result
        if status == "crit":
            assert only(result).evidence == {"nofile": 600}


@pytest.mark.slow
def test_a_real_quota_is_found_and_gone_when_lifted(module_dsn: str, control_group: MakeGroup) -> None:
    group = control_group("cpu", 20_000)
    with server("10000", "burn") as (url, pid):
        group.add(pid)
        finding = only(look(module_dsn, "S5", url=url, window_s=2.0, thresholds=NO_STEAL))
        assert (finding.object, finding.status) == ("queen serve", "crit")
        assert finding.evidence["throttled_pct"] > 50
        group.write("cpu.cfs_quota_us", -1)
        assert look(module_dsn, "S5", url=url, window_s=2.0, thresholds=NO_STEAL).status == "ok"


@pytest.mark.slow
def test_a_real_quota_of_postgresql_is_found_and_gone_when_lifted(
    own_cluster: OwnCluster, control_group: MakeGroup
) -> None:
    group = control_group("cpu", 20_000)
    group.add(own_cluster.pid)
    with meanwhile(lambda: execute(own_cluster.dsn, "select count(*) from generate_series(1, 200000)")):
        finding = only(look(own_cluster.dsn, "S5", window_s=2.0, thresholds=NO_STEAL))
        assert (finding.object, finding.status) == ("PostgreSQL", "crit")
        assert finding.evidence["throttled_pct"] > 50
        assert finding.at_stake.high_pct is not None
        assert finding.at_stake.high_pct > 100
        group.write("cpu.cfs_quota_us", -1)
        assert look(own_cluster.dsn, "S5", window_s=2.0, thresholds=NO_STEAL).status == "ok"


def test_the_limit_of_a_process_is_read_from_proc() -> None:
    own = nofile(os.getpid())
    assert own is not None
    assert own > 100


def test_a_quota_that_stops_postgresql_is_found(plain_seen: Seen) -> None:
    def host(**throttles: Throttle) -> Host:
        return replace(_HOST, throttles=throttles)

    before = host(PostgreSQL=Throttle(1000, 10))
    finding = judged(before, host(PostgreSQL=Throttle(1100, 40)), plain_seen)[0]
    assert finding.status == "crit"
    assert finding.evidence == {"throttled_pct": 30.0, "periods": 100, "window_s": 10.0}
    assert finding.at_stake.high_pct == 42.9
    assert judged(before, host(PostgreSQL=Throttle(1100, 12)), plain_seen) == []
    assert judged(before, host(PostgreSQL=Throttle(1002, 12)), plain_seen) == [], "two periods say nothing"


def test_stolen_time_is_found(plain_seen: Seen) -> None:
    finding = judged(_HOST, replace(_HOST, at=110.0, steal_s=4.0), plain_seen)[0]
    assert (finding.status, finding.evidence["steal_pct"]) == ("warn", 10.0)
    assert judged(_HOST, replace(_HOST, at=110.0, steal_s=1.0), plain_seen) == []


def test_control_groups_of_both_versions_are_read(tmp_path: Path) -> None:
    folders: Mapping[str, str] = {"0::/app": "app", "4:cpu,cpuacct:/app": "cpu/app", "0::/gone": ""}
    for number, (line, folder) in enumerate(folders.items(), 1):
        proc, groups = tmp_path / f"proc{number}", tmp_path / f"groups{number}"
        (proc / "7").mkdir(parents=True)
        (proc / "7" / "cgroup").write_text(f"9:memory:/other\n{line}\n")
        (groups / folder).mkdir(parents=True)
        (groups / folder / "cpu.stat").write_text("nr_periods 20\nnr_throttled 3\nthrottled_usec 1\n")
        assert throttle(7, proc, groups) == Throttle(20, 3), line


def test_without_a_quota_there_is_nothing_to_throttle(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text("0::/\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 5\n")
    assert throttle(7, tmp_path, tmp_path) is None
