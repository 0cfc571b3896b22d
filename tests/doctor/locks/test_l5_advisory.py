"""L5 on a real PostgreSQL: the locks of Queen's own functions, held for too long."""

from __future__ import annotations

import pytest

from queen.doctor.finding import Threshold
from tests.doctor.support import apply, look, only, session

AT_ONCE = {"limit": Threshold(0.0, None, "s")}
CALLS = {
    "upkeep": "select queen.begin_upkeep(100)",
    "enqueued": "select queen.place_enqueued(10, 1000, 0, '{}', 0, 0, '{}', '{}')",
    "statistics": "select queen.refresh_stats(0, 0, 10, null)",
}


@pytest.mark.parametrize("what", CALLS)
def test_a_holder_is_found_and_ended(module_dsn: str, what: str) -> None:
    with session(module_dsn, application_name="forgetful") as holder:
        holder.execute(CALLS[what])
        finding = only(look(module_dsn, "L5", thresholds=AT_ONCE))
        assert finding.object == f"session {holder.info.backend_pid}"
        assert (finding.evidence["what"], finding.evidence["application"]) == (what, "forgetful")
        assert look(module_dsn, "L5").status == "ok", "not for long enough"
        apply(module_dsn, finding.fix)
        assert look(module_dsn, "L5", thresholds=AT_ONCE).status == "ok"


def test_locks_of_other_programs_are_theirs(module_dsn: str) -> None:
    with session(module_dsn) as holder:
        holder.execute("select pg_advisory_lock(42), pg_advisory_lock(1, 2)")
        assert look(module_dsn, "L5", thresholds=AT_ONCE).status == "ok"
