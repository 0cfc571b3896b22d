"""M6 on a real PostgreSQL: a change that only a restart brings into force."""

from __future__ import annotations

import pytest

from queen.doctor.checks.memory import m6_pending_restart as m6
from queen.errors import CannotLook
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import about, look
from tests.support.own_cluster import OwnCluster
from tests.support.server import wait_until


def test_a_change_that_waits_is_found_and_gone_when_taken_back(own_cluster: OwnCluster) -> None:
    assert look(own_cluster.dsn, "M6").status == "ok"
    own_cluster.execute("alter system set max_connections = 40", "select pg_reload_conf()")
    wait_until(lambda: look(own_cluster.dsn, "M6").status == "warn", "the reload to be noticed")
    finding = about(look(own_cluster.dsn, "M6"), "max_connections")
    assert finding.evidence["in_force"] == "30"
    own_cluster.execute("alter system reset max_connections", "select pg_reload_conf()")
    wait_until(lambda: look(own_cluster.dsn, "M6").status == "ok", "the reload to be noticed")


def test_a_restart_does_not_help_against_the_command_line() -> None:
    known = facts(setting("listen_addresses", "", source="command line", pending_restart=True))
    (finding,) = m6.evaluate(seen_with(m6.CHECK, {}, facts=known))
    assert finding.fix is None
    assert "command line" in finding.remedy


def test_hidden_settings_are_never_said_to_be_well() -> None:
    with pytest.raises(CannotLook, match="does not see all settings"):
        m6.evaluate(seen_with(m6.CHECK, {}, facts=facts(pg_monitor=False)))
    waits = facts(setting("wal_buffers", "512", pending_restart=True), pg_monitor=False)
    assert [one.object for one in m6.evaluate(seen_with(m6.CHECK, {}, facts=waits))] == ["wal_buffers"]
