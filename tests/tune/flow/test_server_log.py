"""Errors in the server's log: the new ones since a mark, read from a real one; and who may not read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from queen.store.operate import Operator
from queen.tune.flow import server_log
from queen.tune.flow.server_log import Mark, Told, Unread
from tests.tune.flow.support import Ground

pytestmark = pytest.mark.pg


@pytest.fixture
def operator(ground: Ground) -> Iterator[Operator]:
    """A session of the cluster's superuser."""
    with Operator(ground.dsn, application="queen-tune-pg") as made:
        yield made


def _fail(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(psycopg.Error):
        connection.execute(statement.encode())


def _told(operator: Operator, mark: Mark) -> Told:
    found = server_log.since(operator, mark)
    assert isinstance(found, Told), found
    return found


def test_a_kind_of_error_that_was_not_there_before_is_new(ground: Ground, operator: Operator) -> None:
    _fail(ground.dsn, "select 1 / 0")
    mark = server_log.mark(operator)
    assert isinstance(mark, Mark)
    assert "ERROR division by zero" in mark.known
    _fail(ground.dsn, "select 2 / 0")
    assert _told(operator, mark).errors == ()
    _fail(ground.dsn, "select * from no_such_table_1")
    _fail(ground.dsn, "select * from no_such_table_2")
    found = _told(operator, mark)
    [line] = found.errors
    assert "no_such_table_1" in line
    assert found.whole
    again = server_log.from_dict(server_log.as_dict(mark.knowing(found.kinds)))
    assert _told(operator, again).errors == ()


def test_a_role_that_may_not_read_it_is_told_what_would_enable_it(ground: Ground) -> None:
    ground.run("create role blind")
    try:
        with Operator(ground.dsn) as operator:
            operator.rows("set role blind")
            found = server_log.mark(operator)
            assert isinstance(found, Unread)
            assert "may not read" in found.reason
            operator.rows("reset role")
            ground.run(*found.enable.split("; "))
            operator.rows("set role blind")
            assert isinstance(server_log.mark(operator), Mark)
    finally:
        ground.run("drop owned by blind", "drop role blind")


class _Session:
    """A server that answers as it is told to."""

    def __init__(self, facts: dict[str, Any], files: list[dict[str, Any]] | None = None, content: bytes = b"") -> None:
        self._answers = (facts, files or [], content)

    def rows(self, text: str, parameters: Any = None) -> list[dict[str, Any]]:
        facts, files, content = self._answers
        if parameters is not None:
            begin = parameters["from_byte"]
            return [{"content": content[begin : begin + parameters["bytes"]]}]
        return [facts] if "logging_collector" in text else files


READABLE = {"role": "queen", "collected": True, "may_list": True, "may_read": True, "language": "en_US.UTF-8"}


def _file(name: str, size: int, changed_at: float) -> dict[str, Any]:
    return {"current": "log/now.log", "name": name, "size": size, "changed_at": changed_at, "now": 100.0}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({**READABLE, "collected": False}, "whoever started it"),
        ({**READABLE, "may_list": False}, "may not read"),
        ({**READABLE, "language": "de_DE.UTF-8"}, "another language"),
    ],
)
def test_a_log_that_cannot_be_read_says_why(facts: dict[str, Any], reason: str) -> None:
    found = server_log.mark(_Session(facts))
    assert isinstance(found, Unread)
    assert reason in found.reason
    assert found.enable


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-30 06:50:34 UTC [1] queen@queen x ERROR:  invalid memory alloc request size 99",
        '2026-11-30,"queen","queen",1,"[local]",6.1,2,"SELECT",2026-11-30,3/7,0,ERROR,XX000,"invalid memory alloc",,,',
        '{"timestamp":"2026-11-30","error_severity":"ERROR","state_code":"XX000","message":"invalid memory alloc"}',
    ],
)
def test_each_form_of_a_log_is_understood_and_a_restart_is_no_error(line: str) -> None:
    text = f"2026 [1] FATAL:  the database system is starting up\n{line}\n".encode()
    session = _Session(READABLE, [_file("now.log", len(text), 99.0)], text)
    assert _told(session, Mark("now.log", 0, 50.0, ())).errors == (line,)  # type: ignore[arg-type]
    mark = server_log.mark(session)
    assert isinstance(mark, Mark)
    assert [kind.split(" ")[0] for kind in mark.known] == ["ERROR"]


def test_a_file_that_was_begun_anew_is_read_from_its_start_and_a_long_one_from_near_its_end() -> None:
    text = b"2026 [1] ERROR:  out of memory\n"
    session = _Session(READABLE, [_file("now.log", len(text), 99.0)], text)
    assert len(_told(session, Mark("now.log", 5000, 50.0, ())).errors) == 1  # type: ignore[arg-type]
    assert _told(session, Mark("now.log", 5, 100.5, ())).errors == ()  # type: ignore[arg-type]
    long = b"x" * server_log.PART_BYTES + text
    found = server_log.since(_Session(READABLE, [_file("now.log", len(long), 99.0)], long), Mark("a", 0, 50.0, ()))
    assert isinstance(found, Told)
    assert (len(found.errors), found.whole) == (1, False)
