"""A run on a real PostgreSQL: what it costs, what it holds, what a role may not see, what happens when it is cut."""

from __future__ import annotations

import re
import secrets
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from queen.doctor import needs
from queen.doctor.catalogue import catalogue, find
from queen.doctor.check import Check, Query, Seen
from queen.doctor.finding import Finding, Result
from queen.doctor.probes.server import ServerSample
from queen.doctor.report import Report
from queen.doctor.run import BUDGET_S, Ask, run
from queen.errors import QueenError, StoreUnavailable
from tests.doctor.support import execute, settle
from tests.support.command import wait_until
from tests.support.fix_postgres import PostgresServer

# What a run sends for itself: facts, settings and extensions, rights, five looks at the clock, and the comparison.
_OWN_STATEMENTS = 10


def everything(dsn: str, window_s: float = 0.3) -> Report:
    """All checks."""
    settle(dsn)
    return run(Ask(dsn, catalogue(), window_s=window_s))


def moving(evaluate: Any = lambda seen: ()) -> Check:
    """A check that is read twice."""
    counter = Query("SELECT 1 AS one, sum(xact_commit)::float8 AS commits FROM pg_stat_database")
    return replace(find("V1"), queries={"counter": counter}, needs=(), delta=True, evaluate=evaluate)


def texts_asked() -> int:
    """How many statements the catalogue needs: of different texts, two for one that a window may change."""
    queries = [(query, check.delta) for check in catalogue() for query in check.queries.values()]
    twice = {query.text for query, delta in queries if delta and not query.once}
    return len({query.text for query, _ in queries}) + len(twice)


def still() -> Check:
    """A check that is read once and asks nothing."""
    return replace(find("V1"), queries={}, needs=(), delta=False)


def test_all_checks_stay_inside_the_budget(module_dsn: str) -> None:
    report = everything(module_dsn)
    assert report.verdict != "unknown"
    assert report.busy_s < BUDGET_S
    sampled = 10 * 0.3 + 1
    assert report.statements <= _OWN_STATEMENTS + texts_asked() + sampled, "every different text once a sample"
    assert set(report.stages) >= {"facts", "first sample", "static checks", "window", "second sample"}


def test_it_stays_cheap(module_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    connect = psycopg.Connection.connect

    def counted(conninfo: str, **parameters: Any) -> Any:
        opened.append(conninfo)
        return connect(conninfo, **parameters)

    monkeypatch.setattr(psycopg.Connection, "connect", counted)
    report = everything(module_dsn, window_s=0.1)
    assert len(opened) == 1, "one session"
    assert texts_asked() <= 100, "a new text costs each run, twice in a check that compares: is there one to share?"
    assert report.statements <= _OWN_STATEMENTS + texts_asked() + 2


def test_what_is_not_compared_is_asked_once_for_all_checks(module_dsn: str) -> None:
    seen: list[Seen] = []

    def evaluate(one: Seen) -> list[Finding]:
        seen.append(one)
        return []

    compares = replace(moving(evaluate), queries={"q": Query("SELECT clock_timestamp() AS at", once=True)})
    static = replace(still(), id="V3", queries=compares.queries, evaluate=evaluate)
    run(Ask(module_dsn, [compares, static], window_s=0.1))
    assert seen[0].rows("q") == seen[1].rows("q") != []
    assert "q" not in seen[0].first, "a comparison would be of nothing"


def test_what_comes_after_the_budget_is_skipped_and_says_so(module_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queen.doctor.run.BUDGET_S", 0.0)
    (result,) = run(Ask(module_dsn, [replace(still(), queries={"one": Query("SELECT 1 AS one")})])).results
    assert (result.status, result.reason) == ("skipped", "the run's time of 0 s was used up")


def test_it_pins_no_snapshot_while_it_waits(module_dsn: str) -> None:
    seen: list[tuple[str, Any]] = []
    watching = threading.Event()

    def on_stage(name: str, _: float) -> None:
        if name == "window":
            watching.set()

    with psycopg.connect(module_dsn, autocommit=True) as watcher:
        ask = Ask(module_dsn, [moving()], window_s=1.0)
        thread = threading.Thread(target=run, args=(ask, on_stage))
        thread.start()
        assert watching.wait(20)
        while thread.is_alive():
            seen += watcher.execute(
                "select state, backend_xmin from pg_stat_activity"
                " where application_name = 'queen-doctor' and datname = current_database()"
            ).fetchall()
        thread.join()
    idle = [xmin for state, xmin in seen if state == "idle"]
    assert len(idle) >= 3, "the window is waited out between statements"
    assert set(idle) == {None}
    assert {state for state, _ in seen} <= {"idle", "active", None}, "never idle in a transaction"


def test_the_session_reads_only_and_gives_up_early(module_dsn: str) -> None:
    settings: list[dict[str, str]] = []

    def evaluate(seen: Seen) -> list[Finding]:
        settings.append(seen.row("settings"))
        return []

    names = ("default_transaction_read_only", "statement_timeout", "lock_timeout", "application_name")
    query = Query("SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in names))
    run(Ask(module_dsn, [replace(still(), queries={"settings": query}, evaluate=evaluate)]))
    assert settings[0] == dict(zip(names, ("on", "2s", "100ms", "queen-doctor"), strict=True))


def test_a_session_that_is_cut_in_the_window_ends_the_run(module_dsn: str) -> None:
    caught: list[QueenError] = []
    watching = threading.Event()

    def go() -> None:
        try:
            run(Ask(module_dsn, [moving()], window_s=30), lambda name, _: watching.set() if name == "window" else None)
        except QueenError as error:
            caught.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    assert watching.wait(20)
    execute(
        module_dsn,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'queen-doctor' and datname = current_database()",
    )
    wait_until(lambda: not thread.is_alive(), "the run to end")
    assert isinstance(caught[0], StoreUnavailable)


def test_a_reset_inside_the_window_skips_what_is_compared(module_dsn: str) -> None:
    def on_stage(name: str, _: float) -> None:
        if name == "window":
            execute(module_dsn, "select pg_stat_reset()")
            settle(module_dsn)

    execute(module_dsn, "select pg_stat_reset()")
    settle(module_dsn)
    (result,) = run(Ask(module_dsn, [moving()], window_s=0.2), on_stage).results
    assert (result.status, result.reason) == ("skipped", "statistics were reset inside the window")


def test_a_check_that_fails_is_an_error_and_hides_no_other(module_dsn: str) -> None:
    def evaluate(_: Seen) -> list[Finding]:
        raise ZeroDivisionError("nothing\nto divide by")

    report = run(
        Ask(module_dsn, [replace(still(), evaluate=evaluate), replace(still(), id="V4", evaluate=lambda _: ())])
    )
    failed, other = report.results
    assert (failed.status, failed.reason) == ("error", "ZeroDivisionError: nothing to divide by")
    assert "test_run.py" in (failed.trace or "")
    assert other.status == "ok"
    assert report.verdict == "healthy"
    assert report.count("error") == 1


def test_a_query_that_is_refused_skips_its_check(module_dsn: str) -> None:
    wrong = replace(still(), queries={"nothing": Query("SELECT * FROM not_there")})
    (result,) = run(Ask(module_dsn, [wrong])).results
    assert result.status == "skipped"
    assert "not_there" in (result.reason or "")


@pytest.fixture
def plain_role(database_dsn: str, postgres_server: PostgresServer) -> Iterator[str]:
    """A role that is no superuser and no member of anything; every session of `database_dsn` is of that role."""
    role = f"plain_{secrets.token_hex(4)}"
    database = conninfo_to_dict(database_dsn)["dbname"]
    execute(
        database_dsn,
        f"create role {role}",
        f"grant usage on schema queen to {role}",
        f"grant select on all tables in schema queen to {role}",
        f"alter database {database} set role = {role}",
    )
    yield role
    postgres_server.drop(database_dsn)
    postgres_server.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def skipped(report: Report) -> dict[str, Result]:
    """What was skipped, by id."""
    return {result.id: result for result in report.results if result.status == "skipped"}


def _needing(need: needs.Need) -> set[str]:
    return {check.id for check in catalogue() if need in check.needs}


def test_a_plain_role_sees_less_and_is_told_what_would_help(plain_role: str, database_dsn: str) -> None:
    report = everything(database_dsn)
    gone = skipped(report)
    assert not any(result.status == "error" for result in report.results)
    assert report.facts is not None
    assert report.facts.role == plain_role
    assert (report.facts.superuser, report.facts.pg_monitor, report.facts.may_alter_system) == (False, False, False)
    assert "V4" in gone
    assert _needing(needs.monitor) <= set(gone), "what pg_monitor shows is never said to be well"
    assert gone["V4"].enable == f'GRANT pg_monitor TO "{plain_role}";'
    assert gone["V4"].reason == f"role {plain_role} is no member of pg_monitor"
    assert "V1" not in gone, "tables that it may read it may look at"


def test_a_member_of_pg_monitor_sees_what_a_superuser_sees(
    plain_role: str, database_dsn: str, postgres_server: PostgresServer
) -> None:
    postgres_server.execute(sql.SQL("grant pg_monitor to {}").format(sql.Identifier(plain_role)))
    report = everything(database_dsn)
    assert not any(result.status == "error" for result in report.results)
    reasons = {result.id: result.reason or "" for result in skipped(report).values()}
    assert not [name for name, reason in reasons.items() if re.search("pg_monitor|permission denied", reason)], reasons


def test_without_pg_stat_statements_its_checks_are_skipped(module_dsn: str) -> None:
    gone = skipped(everything(module_dsn))
    for name in _needing(needs.statements):
        reason, enable = gone[name].reason, gone[name].enable
        if reason == "the extension pg_stat_statements is not installed":
            assert enable == "CREATE EXTENSION pg_stat_statements;"
        else:  # a server of the user's that has not loaded it
            assert reason == "pg_stat_statements is not loaded"
            assert "shared_preload_libraries" in (enable or "")


def test_an_empty_schema_is_well(database_dsn: str) -> None:
    report = everything(database_dsn)
    found = [one for one in report.ranked() if one.finding.object and one.finding.object.startswith("queen.")]
    assert found == [], "a fresh schema has nothing wrong with it"
    assert not any(result.status == "error" for result in report.results)


def test_without_the_schema_the_checks_of_the_server_still_run(empty_database_dsn: str) -> None:
    report = everything(empty_database_dsn)
    gone = skipped(report)
    assert _needing(needs.schema) <= set(gone)
    assert gone["V1"].enable == "queen db migrate"
    assert "V4" not in gone
    assert report.verdict != "unknown"
    assert report.about["schema"] is None
    assert not any(result.status == "error" for result in report.results)


def test_a_question_that_is_wrong_on_any_server_is_an_error_and_no_need(database_dsn: str) -> None:
    wrong = replace(find("V1"), queries={"q": Query("SELECT 1 / (SELECT 0)")}, needs=(), delta=False)
    broken = replace(wrong, queries={"q": Query("SELEKT 1")})
    assert [run(Ask(database_dsn, [check])).results[0].status for check in (wrong, broken)] == ["error", "error"]


def test_a_server_of_another_database_is_not_asked(
    module_dsn: str, empty_database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answering process is registered in the database that it serves."""
    instance = str(uuid.uuid4())
    others = {"instanceId": str(uuid.uuid4()), "answering": False}
    status = {"workers": [others, {"instanceId": instance, "answering": True}]}
    sample = ServerSample("http://there:1", 0.0, status, {"workers": {"count": 2}})
    monkeypatch.setattr("queen.doctor.probes.server.look", lambda _url: sample)
    check = replace(still(), needs=(needs.server,), evaluate=lambda _: ())

    def result(dsn: str) -> Result:
        return run(Ask(dsn, [check], url="http://there:1")).results[0]

    reason = "the Queen server at http://there:1 serves another database or schema"
    assert (result(module_dsn).status, result(module_dsn).reason) == ("skipped", reason)
    assert result(empty_database_dsn).reason == reason, "there is no schema at all"
    execute(module_dsn, f"insert into queen.instances values ('{instance}', now(), now(), 16, 'test')")
    assert result(module_dsn).status == "ok"
    sample = replace(sample, status={"workers": []})
    execute(module_dsn, "delete from queen.instances")
    assert result(module_dsn).status == "ok", "a server that is cut off from its database does not tell"
