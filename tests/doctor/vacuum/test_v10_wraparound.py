"""V10 on a real PostgreSQL: transaction ids used up, the threshold lowered to what a test can use."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict

from queen.doctor.checks.vacuum.v10_wraparound import CHECK
from queen.doctor.finding import Threshold
from tests.doctor.seen import seen_with
from tests.doctor.support import about, execute, look

USED = 3000
FEW = {"limit": Threshold((USED - 500) / 2**31, 1.0)}
# Each block with an exception clause is a transaction of its own, which takes an id when it writes.
USE = f"""do $$ begin for n in 1..{USED} loop
    begin update queen.leader set lease_until = now(); exception when others then raise; end; end loop; end $$"""


def test_an_old_database_is_found_with_its_tables_and_young_after_freezing(database_dsn: str) -> None:
    name = f"database {conninfo_to_dict(database_dsn)['dbname']}"
    execute(database_dsn, "vacuum (freeze)", USE)
    finding = about(look(database_dsn, "V10", thresholds=FEW), name)
    assert finding.status == "warn"
    assert USED <= finding.evidence["xid_age"] < 2 * USED
    oldest = finding.evidence["oldest_tables"]
    assert len(oldest) == 5
    assert max(oldest.values()) == finding.evidence["xid_age"]
    execute(database_dsn, "vacuum (freeze)")
    assert name not in {found.object for found in look(database_dsn, "V10", thresholds=FEW).findings}


def test_multixacts_count_as_well() -> None:
    row = {"name": "queen", "ours": True, "open": True, "xid_age": 1000, "mxid_age": 1_900_000_000}
    tables = [{"name": "queen.cursors", "xid_age": 5, "mxid_age": 1_900_000_000}]
    found = list(CHECK.evaluate(seen_with(CHECK, {"databases": [row], "tables": tables})))
    assert [finding.status for finding in found] == ["crit"]
    assert found[0].evidence["oldest_tables"] == {"queen.cursors": 1_900_000_000}


def test_a_young_server_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "V10").status == "ok"
