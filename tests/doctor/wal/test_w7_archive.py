"""W7 on a real PostgreSQL: an archive command that fails."""

from __future__ import annotations

from tests.doctor.support import look, only
from tests.support.own_cluster import OwnCluster
from tests.support.server import wait_until

SWITCH = "select pg_switch_wal() from pg_logical_emit_message(false, '', 'x')"


def test_a_command_that_fails_is_found_and_gone_when_mended(own_cluster: OwnCluster) -> None:
    own_cluster.execute("alter system set archive_command = 'false'")
    own_cluster.reload("archive_command", "false")
    own_cluster.execute(SWITCH)
    wait_until(lambda: look(own_cluster.dsn, "W7").status != "ok", "the archiver to fail")
    finding = only(look(own_cluster.dsn, "W7"))
    assert finding.status in ("warn", "crit")
    assert finding.evidence["waiting_files"] >= 1
    assert finding.evidence["waiting_MB"] == 16 * finding.evidence["waiting_files"]
    assert finding.evidence["failed"] >= 1
    own_cluster.execute("alter system reset archive_command")
    own_cluster.reload("archive_command", "true")
    own_cluster.execute(SWITCH)
    wait_until(lambda: look(own_cluster.dsn, "W7").status == "ok", "the archiver to go on")


def test_archiving_without_a_command_is_found(own_cluster: OwnCluster) -> None:
    own_cluster.execute("alter system set archive_command = ''")
    own_cluster.reload("archive_command", "")
    own_cluster.execute(SWITCH)
    finding = only(look(own_cluster.dsn, "W7"))
    assert "no command" in finding.summary
    own_cluster.execute("alter system reset archive_command")
    own_cluster.reload("archive_command", "true")
    wait_until(lambda: look(own_cluster.dsn, "W7").status == "ok", "the files to go")


def test_a_server_that_archives_nothing_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "W7").status == "ok"
