"""I6 on a real PostgreSQL: an index that stayed large when its table became small."""

from __future__ import annotations

from queen.doctor.finding import Threshold
from tests.doctor.support import apply, execute, look, only

SMALL = {"size": Threshold(0.5, None, "MiB")}


def test_the_index_is_found_and_small_again_after_the_fix(module_dsn: str) -> None:
    execute(
        module_dsn,
        "alter table queen.leases set (autovacuum_enabled = off)",
        "insert into queen.leases select md5(n::text)::uuid, '{}', now() from generate_series(1, 30000) n",
        "delete from queen.leases where ctid > '(2,0)'",
        "vacuum analyze queen.leases",
    )
    finding = only(look(module_dsn, "I6", thresholds=SMALL))
    assert (finding.status, finding.object) == ("crit", "queen.leases")
    assert list(finding.evidence["bloated"]) == ["queen.leases_pkey"]
    assert finding.evidence["index_bytes"] > 1_000_000
    assert look(module_dsn, "I6").status == "ok", "too small to matter by default"
    apply(module_dsn, finding.fix)
    assert look(module_dsn, "I6", thresholds=SMALL).status == "ok"


def test_an_index_that_grew_since_its_entries_were_counted_is_no_bloat(database_dsn: str) -> None:
    fill = "insert into queen.leases select gen_random_uuid(), '{}', now() from generate_series(1, "
    execute(
        database_dsn,
        "alter table queen.leases set (autovacuum_enabled = off)",
        f"{fill}1000)",
        "vacuum analyze queen.leases",
        f"{fill}30000)",
    )
    assert look(database_dsn, "I6", thresholds=SMALL | {"limit": Threshold(0.1, None)}).status == "ok"


def test_narrow_rows_with_long_keys_are_no_bloat(module_dsn: str) -> None:
    execute(
        module_dsn,
        "insert into queen.trace_links select 'an order of some name', gen_random_uuid(), n, gen_random_uuid()::text"
        " from generate_series(1, 20000) n",
        "vacuum analyze queen.trace_links",
    )
    result = look(module_dsn, "I6", thresholds=SMALL | {"limit": Threshold(0.5, None)})
    assert all(finding.object != "queen.trace_links" for finding in result.findings)
