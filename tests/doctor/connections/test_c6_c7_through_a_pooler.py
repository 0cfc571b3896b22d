"""C6 and C7 with a real PgBouncer in transaction mode: a server that cannot listen and yet prepares, and a client that
listens in vain."""

from __future__ import annotations

import psycopg
import pytest

from tests.doctor.connections.conftest import MakeServer
from tests.doctor.support import about, look, only
from tests.support.fix_pgbouncer import MakePgBouncer


@pytest.mark.parametrize("pgbouncer_program", ["system"], indirect=True)
def test_a_server_without_a_way_around_the_pooler_is_found_until_it_has_one(
    dsn: str, make_pgbouncer: MakePgBouncer, serve: MakeServer
) -> None:
    bouncer = make_pgbouncer(dsn, default_pool_size=5)
    console = bouncer.url("pgbouncer")
    deaf = serve(bouncer.url(), QUEEN_DATABASE__PREPARE_STATEMENTS="true", DB_POOL_SIZE="1")
    listener = about(look(dsn, "C6", url=deaf.url, pooler_admin=console), "listener")
    assert listener.status == "warn"
    assert (listener.evidence["pooler"], listener.evidence["listening"]) == (True, 0)
    prepared = only(look(dsn, "C7", url=deaf.url, pooler_admin=console))
    version = str(prepared.evidence["pooler_version"])
    assert prepared.status == "crit"
    assert version.count(".") == 2
    unknown = only(look(dsn, "C7", url=deaf.url))
    assert (unknown.status, unknown.evidence["pooler_version"]) == ("warn", None)
    deaf.kill()
    well = serve(bouncer.url(), QUEEN_DATABASE__DIRECT_URL=dsn)
    assert look(dsn, "C6", url=well.url, pooler_admin=console).status == "ok"
    assert look(dsn, "C7", url=well.url, pooler_admin=console).status == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("pgbouncer_program", ["newer"], indirect=True)
def test_a_newer_pooler_is_told_to_keep_no_statements_until_it_keeps_them(
    dsn: str, make_pgbouncer: MakePgBouncer, serve: MakeServer
) -> None:
    bouncer = make_pgbouncer(dsn, max_prepared_statements=0)
    console = bouncer.url("pgbouncer")
    server = serve(bouncer.url(), QUEEN_DATABASE__PREPARE_STATEMENTS="true", QUEEN_DATABASE__DIRECT_URL=dsn)
    prepared = only(look(dsn, "C7", url=server.url, pooler_admin=console))
    assert prepared.status == "crit"
    assert prepared.evidence["max_prepared_statements"] == "0"
    assert prepared.evidence["pooler_version"] >= "1.24"
    with psycopg.connect(console, autocommit=True) as admin:
        admin.pgconn.exec_(b"set max_prepared_statements = 200")
    assert look(dsn, "C7", url=server.url, pooler_admin=console).status == "ok"


def test_what_a_client_sent_through_the_pooler_is_found_in_its_sessions(
    dsn: str, make_pgbouncer: MakePgBouncer
) -> None:
    bouncer = make_pgbouncer(dsn, default_pool_size=1)
    console = bouncer.url("pgbouncer")
    with psycopg.connect(bouncer.url(), autocommit=True, application_name="innocent") as client:
        for statement, word in (
            ("listen news", "LISTEN"),
            ("set work_mem = '8MB'", "SET"),
            ("select pg_advisory_lock(1)", "a session lock"),
        ):
            client.execute(statement.encode())
            finding = only(look(dsn, "C6", pooler_admin=console))
            assert finding.summary.startswith(word)
            assert (finding.evidence["application"], finding.evidence["query"]) == ("innocent", statement)
        client.execute("set local work_mem = '8MB'")
        assert look(dsn, "C6", pooler_admin=console).status == "ok"


def test_in_session_mode_all_of_it_works(dsn: str, make_pgbouncer: MakePgBouncer) -> None:
    bouncer = make_pgbouncer(dsn, pool_mode="session")
    with psycopg.connect(bouncer.url(), autocommit=True) as client:
        client.execute("listen news")
        assert look(dsn, "C6", pooler_admin=bouncer.url("pgbouncer")).status == "ok"


def test_with_nothing_that_tells_of_a_pooler_they_are_skipped(dsn: str) -> None:
    assert (look(dsn, "C6").status, look(dsn, "C7").status) == ("skipped", "skipped")
