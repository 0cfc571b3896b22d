"""V11 on a real PostgreSQL: a child of messages that no vacuum visits, the threshold lowered."""

from __future__ import annotations

import pytest

from queen.doctor import needs
from queen.doctor.finding import Threshold
from tests.doctor.support import about, apply, execute, look, undo

FEW = {"limit": Threshold(5000, None)}
FILL = """insert into queen.messages (partition_id, "offset", created_at, queue_id, epoch, transaction_id, payload)
    select 1, n, now(), 1, 1, n::text, '1' from generate_series(1, 6000) n"""


@pytest.fixture(autouse=True)
def _statistics_of_a_new_server_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "STATS_AGE_MIN_S", 0.0)


def test_inserts_without_vacuum_are_found_and_gone_after_the_fix(database_dsn: str) -> None:
    execute(database_dsn, "alter table queen.messages_1 set (autovacuum_enabled = off)", FILL)
    finding = about(look(database_dsn, "V11", thresholds=FEW), "queen.messages_1")
    assert finding.evidence["inserts_since_vacuum"] == 6000
    assert finding.evidence["trigger_inserts"] is None
    assert look(database_dsn, "V11").status == "ok", "6000 are few"
    apply(database_dsn, finding.fix)
    assert look(database_dsn, "V11", thresholds=FEW).status == "ok"
    execute(database_dsn, "alter table queen.messages_1 reset (autovacuum_enabled)", FILL.replace("1, n,", "2, n,"))
    again = about(look(database_dsn, "V11", thresholds=FEW), "queen.messages_1")
    assert again.evidence["trigger_inserts"] == 2_000_000
    undo(database_dsn, finding.fix)
    own = about(look(database_dsn, "V11", thresholds=FEW), "queen.messages_1").evidence["trigger_inserts"]
    assert own == 1000 + 0.5 * 6000, "as the child was made, after a vacuum that counted its rows"


def test_young_statistics_say_nothing(monkeypatch: pytest.MonkeyPatch, module_dsn: str) -> None:
    monkeypatch.setattr(needs, "STATS_AGE_MIN_S", 1e9)
    assert look(module_dsn, "V11").status == "skipped"


def test_a_fresh_schema_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "V11").status == "ok"
