"""Log lines as text and as JSON: shape, facts from `extra=`, exceptions, and lines that cannot be forged."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from queen import log


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Put the root logger back as it was."""
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raising
    root.setLevel(level)


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("queen.server").makeRecord(
        "queen.server", logging.INFO, "file", 1, message, args, None, extra=extra
    )
    made.created = 1_800_000_000.5
    return made


def test_a_text_line() -> None:
    line = log.TextFormatter().format(record("started %s", "well", port=6632, host="a b"))
    assert line == '2027-01-15T08:00:00.500Z INFO queen.server started well port=6632 host="a b"'


def test_a_json_line() -> None:
    line = log.JsonFormatter().format(record("started", port=6632, name_of="x", level="mine"))
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00.500Z",
        "level": "info",
        "logger": "queen.server",
        "message": "started",
        "port": 6632,
        "name_of": "x",
        "level_": "mine",
    }


def test_no_message_can_pretend_to_be_a_second_line() -> None:
    evil = record("queue %s", "x\n2027-01-15 INFO queen forged", name_of='y\n"z')
    assert "\n" not in log.TextFormatter().format(evil)
    assert "\n" not in log.JsonFormatter().format(evil)


def test_text_that_cannot_be_encoded_does_not_stop_a_line() -> None:
    line = log.JsonFormatter().format(record("half a character: \ud800"))
    assert json.loads(line)["message"] == "half a character: ?"


def test_an_exception_is_part_of_the_entry() -> None:
    try:
        raise KeyError("gone")
    except KeyError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    assert "KeyError: 'gone'" in log.TextFormatter().format(failed)
    assert json.loads(log.JsonFormatter().format(failed))["error"].endswith("KeyError: 'gone'")


def test_setup_writes_to_standard_error_from_the_level_up(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("text", "warning")
    log.setup("json", "warning")
    logging.getLogger("queen.test").info("hidden")
    logging.getLogger("queen.test").warning("shown", extra={"n": 1})
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [json.loads(line)["message"] for line in printed.err.splitlines()] == ["shown"]
