"""V4 on a real PostgreSQL: a session that holds a snapshot."""

from __future__ import annotations

from queen.doctor.finding import Threshold
from tests.doctor.support import apply, look, only, session

SOON = {"limit": Threshold(0.0, 600, "s")}


def test_the_holder_is_named_and_gone_when_ended(database_dsn: str) -> None:
    with session(database_dsn, application_name="forgetful") as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select count(*) from queen.queues")
        finding = only(look(database_dsn, "V4", thresholds=SOON))
        assert finding.evidence["application_name"] == "forgetful"
        assert finding.evidence["who"] == str(holder.info.backend_pid)
        assert look(database_dsn, "V4").status == "ok", "not for long enough to warn"
        apply(database_dsn, finding.fix)
        assert look(database_dsn, "V4", thresholds=SOON).status == "ok"
