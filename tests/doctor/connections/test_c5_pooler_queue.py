"""C5 with a real PgBouncer: a transaction that stays open, and a client that waits behind it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg

from queen.store.pooler import show
from tests.doctor.support import look, only
from tests.support.fix_pgbouncer import MakePgBouncer
from tests.support.server import wait_until


def test_a_client_that_waits_is_found_and_gone_when_the_transaction_ends(
    dsn: str, make_pgbouncer: MakePgBouncer
) -> None:
    bouncer = make_pgbouncer(dsn, default_pool_size=1)
    console = bouncer.url("pgbouncer")
    assert look(dsn, "C5", pooler_admin=console).status == "ok"
    with ThreadPoolExecutor(1) as thread:
        with psycopg.connect(bouncer.url()) as holder:
            holder.execute("select 1")
            waiting = thread.submit(ask, bouncer.url())
            wait_until(lambda: longest_s(console) > 1.0, "a client to wait for a second")
            finding = only(look(dsn, "C5", pooler_admin=console))
            assert finding.status == "crit"
            assert finding.evidence["cl_waiting"] == 1
            assert finding.evidence["maxwait_s"] > 1.0
            assert finding.evidence["sv_active"] == 1
            assert finding.evidence["default_pool_size"] == "1"
            assert finding.object == f"pool {dsn.rsplit('/', 1)[1]}/owner"
        waiting.result()
    assert look(dsn, "C5", pooler_admin=console).status == "ok"


def test_without_a_console_it_is_skipped_and_a_wrong_one_says_why(dsn: str, make_pgbouncer: MakePgBouncer) -> None:
    assert look(dsn, "C5").status == "skipped"
    result = look(dsn, "C5", pooler_admin="postgresql://owner:x@127.0.0.1:9/pgbouncer")
    assert result.status == "skipped"
    assert "did not answer" in (result.reason or "")


def ask(url: str) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as client:
        client.execute("select 1")


def longest_s(console: str) -> float:
    pools = show(console, ["POOLS"])["POOLS"]
    return (
        max(float(pool["maxwait"]) + pool["maxwait_us"] / 1e6 for pool in pools if pool["cl_waiting"])
        if any(pool["cl_waiting"] for pool in pools)
        else 0.0
    )
