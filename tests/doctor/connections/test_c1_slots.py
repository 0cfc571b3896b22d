"""C1 on a real PostgreSQL: an application that takes most of the slots."""

from __future__ import annotations

from contextlib import ExitStack

import psycopg

from tests.doctor.connections.conftest import MAX_CONNECTIONS, USABLE
from tests.doctor.support import look, only
from tests.support.server import wait_until


def test_the_application_with_most_slots_is_named_and_all_is_well_when_it_has_gone(dsn: str) -> None:
    assert look(dsn, "C1").status == "ok"
    with ExitStack() as stack:
        for _ in range(int(USABLE * 0.75)):
            stack.enter_context(psycopg.connect(dsn, application_name="greedy"))
        finding = only(look(dsn, "C1"))
        assert finding.status == "warn"
        assert finding.evidence["usable"] == USABLE
        assert finding.evidence["max_connections"] == MAX_CONNECTIONS
        assert int(USABLE * 0.75) + 1 <= finding.evidence["used"] < USABLE
        first = finding.evidence["by_application"][0]
        assert (first["role"], first["application"], first["sessions"]) == ("owner", "greedy", int(USABLE * 0.75))
        for _ in range(USABLE - 2 - finding.evidence["used"]):
            stack.enter_context(psycopg.connect(dsn, application_name="greedy"))
        assert only(look(dsn, "C1")).status == "crit"
    wait_until(lambda: look(dsn, "C1").status == "ok", "the sessions to have gone")
