"""M8 on a real PostgreSQL: lines that are wrong, outranked, or replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from queen.doctor.checks.memory import m8_shadowed_settings as m8
from queen.doctor.checks.memory.m8_shadowed_settings import same
from queen.doctor.facts import ServerSettings
from queen.doctor.needs import Ground
from tests.doctor.seen import facts, setting
from tests.doctor.support import about, look
from tests.support.own_cluster import OwnCluster


def test_each_kind_is_found_and_gone_when_mended(own_cluster: OwnCluster) -> None:
    conf = own_cluster.data / "queen.conf"
    text = conf.read_text("utf-8")
    before = {finding.object for finding in look(own_cluster.dsn, "M8").findings}
    conf.write_text(text + "random_page_cost = cheap\nlisten_addresses = '*'\nseq_page_cost = 2\n", "utf-8")
    own_cluster.execute("alter system set seq_page_cost = 1.5")
    try:
        result = look(own_cluster.dsn, "M8")
        wrong = about(result, "random_page_cost")
        assert (wrong.status, wrong.evidence["value"]) == ("warn", "cheap")
        assert Path(wrong.evidence["file"]) == conf
        outranked = about(result, "listen_addresses")
        assert (outranked.status, outranked.evidence["value"]) == ("warn", "*")
        replaced = about(result, "seq_page_cost")
        assert (replaced.status, replaced.evidence["in_force"]) == ("info", "1.5")
        assert "postgresql.auto.conf" in replaced.summary
    finally:
        conf.write_text(text, "utf-8")
        own_cluster.execute("alter system reset seq_page_cost")
    assert {finding.object for finding in look(own_cluster.dsn, "M8").findings} == before


def test_the_private_server_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "M8").status == "ok"


def test_without_a_superuser_it_is_skipped_and_says_so() -> None:
    (need,) = m8.CHECK.needs
    missing = need(Ground(facts(superuser=False), server=None, pooler=None))
    assert missing is not None
    assert "superuser" in missing.reason
    assert need(Ground(facts(), server=None, pooler=None)) is None


@pytest.mark.parametrize(
    ("row", "text", "expected"),
    [
        (setting("a", "16384", unit="8kB", vartype="integer"), "128MB", True),
        (setting("a", "16384", unit="8kB", vartype="integer"), "129MB", False),
        (setting("a", "300", unit="s", vartype="integer"), "5min", True),
        (setting("a", "1.1", vartype="real"), "1.10", True),
        (setting("a", "on", vartype="bool"), "true", True),
        (setting("a", "on", vartype="bool"), "off", False),
        (setting("a", "replica", vartype="enum"), "replica", True),
        (setting("a", "*", vartype="string"), "localhost", False),
    ],
)
def test_whether_a_line_says_what_is_in_force(row: dict, text: str, expected: bool) -> None:
    assert same(ServerSettings([row])["a"], text) is expected
