"""C9 on a real PostgreSQL that is not reached by one of this machine's usual names."""

from __future__ import annotations

import sys

import pytest

from tests.doctor.support import look, only


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address of every Linux alone")
def test_a_dsn_without_keepalives_is_found_and_the_parameters_help(dsn: str) -> None:
    away = dsn.replace("127.0.0.1", "127.0.0.2")
    finding = only(look(away, "C9"))
    assert finding.status == "warn"
    assert finding.object == "127.0.0.2"
    assert finding.evidence["keepalives_idle"] is None
    assert finding.evidence["tcp_user_timeout"] is None
    assert finding.fix is not None
    (parameters,) = finding.fix.apply
    assert look(f"{away}?{parameters}", "C9").status == "ok"
    half = only(look(f"{away}?keepalives_idle=30", "C9"))
    assert "tcp_user_timeout" in half.summary
    off = only(look(f"{away}?keepalives=0&tcp_user_timeout=60000", "C9"))
    assert off.evidence["keepalives"] is False


def test_this_machine_has_no_network_between(dsn: str) -> None:
    assert look(dsn, "C9").status == "ok"
