"""Plans held against what a server says of its settings: rows as pg_settings gives them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from queen.errors import TuneInputError, TuneRefused
from queen.tune import known, served
from queen.tune.inputs import GIB, Inputs
from queen.tune.lines import Line
from queen.tune.plan import make_plan

ROW = {
    "name": "work_mem",
    "setting": "4096",
    "unit": "kB",
    "vartype": "integer",
    "min_val": "64",
    "max_val": "2147483647",
    "enumvals": None,
    "context": "user",
    "source": "default",
    "sourcefile": None,
    "pending_restart": False,
}


def settings(**changed: Any) -> dict[str, served.Served]:
    return served.served([ROW | changed])


def line(value: str, name: str = "work_mem") -> Line:
    return Line(name, value, known.MEMORY, "a reason", "fixed", "reload")


@pytest.mark.parametrize(
    ("value", "changed", "words"),
    [
        ("32kB", {}, "the least is 64 kB"),
        ("4TB", {"max_val": "100"}, "the most is 100 kB"),
        ("often", {}, "not a number"),
        ("10s", {}, "not a number"),
        ("lz4", {"vartype": "enum", "unit": None, "enumvals": ["pglz"], "min_val": None, "max_val": None}, "pglz"),
        ("maybe", {"vartype": "bool", "unit": None, "min_val": None, "max_val": None}, "on or off"),
        ("4MB", {"context": "internal"}, "cannot be set"),
    ],
)
def test_what_the_server_would_not_take(value: str, changed: dict[str, Any], words: str) -> None:
    told = served.problem(line(value), settings(**changed))
    assert told is not None
    assert words in told


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        ("64kB", {}),
        ("2GB", {}),
        ("-1", {"min_val": "-1"}),
        ("lz4", {"vartype": "enum", "unit": None, "enumvals": ["pglz", "lz4"], "min_val": None, "max_val": None}),
        ("0.9", {"vartype": "real", "unit": None, "min_val": "0", "max_val": "1"}),
        ("a, b", {"vartype": "string", "unit": None, "min_val": None, "max_val": None}),
    ],
)
def test_what_the_server_takes(value: str, changed: dict[str, Any]) -> None:
    assert served.problem(line(value), settings(**changed)) is None


@pytest.mark.parametrize(
    ("value", "changed", "so"),
    [
        ("4MB", {}, True),
        ("4096kB", {}, True),
        ("5MB", {}, False),
        ("4MB", {"pending_restart": True}, False),
        ("100kB", {"setting": "12", "unit": "8kB"}, False),
        ("96kB", {"setting": "12", "unit": "8kB"}, True),
        ("on", {"vartype": "bool", "setting": "on"}, True),
        ("off", {"vartype": "bool", "setting": "on"}, False),
        ("0.9", {"vartype": "real", "unit": None, "setting": "0.9"}, True),
        ("0.9", {"vartype": "real", "unit": None, "setting": "0.5"}, False),
        ("lz4", {"vartype": "enum", "setting": "lz4"}, True),
        ("a, b", {"vartype": "string", "setting": '"a",b'}, True),
        ("a, b", {"vartype": "string", "setting": "a"}, False),
    ],
)
def test_whether_a_value_is_so_already(value: str, changed: dict[str, Any], so: bool) -> None:
    assert served.is_so("work_mem", value, settings(**changed)) is so


def test_a_plan_outside_the_servers_bounds_is_refused_with_every_line() -> None:
    plan = make_plan(Inputs(memory_bytes=8 * GIB, cpus=4))
    low = served.served([ROW | {"name": name, "max_val": "1"} for name in ("work_mem", "maintenance_work_mem")])
    with pytest.raises(TuneRefused) as refused:
        served.check_plan(plan, low)
    assert "\n  work_mem = " in refused.value.message
    assert "\n  maintenance_work_mem = " in refused.value.message


def test_what_the_server_does_not_have_is_left_out_and_told() -> None:
    plan = make_plan(Inputs(memory_bytes=8 * GIB, cpus=4))
    left = served.check_plan(plan, settings())
    assert [line.name for line in left.lines] == ["work_mem"]
    assert "jit" in next(note.text for note in left.notes if note.name == "not on this server")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"source": "command line"}, "no file outranks"),
        ({"source": "configuration file", "sourcefile": "/data/postgresql.auto.conf"}, "ALTER SYSTEM"),
        ({"source": "configuration file", "sourcefile": "/data/postgresql.conf"}, None),
        ({"source": "command line", "setting": "4096"}, None),
    ],
)
def test_what_a_file_would_not_change_is_told(changed: dict[str, Any], words: str | None) -> None:
    plan = make_plan(Inputs(memory_bytes=8 * GIB, cpus=4))
    told = served.check_plan(plan, settings(**{"setting": "1024", **changed})).notes
    texts = [note.text for note in told if note.name == "work_mem"]
    assert (words is None and not texts) or (words is not None and words in texts[0])


def test_what_tables_and_role_have_already_is_left_out() -> None:
    plan = make_plan(Inputs(memory_bytes=8 * GIB, cpus=4))
    tables = {"cursors": {"fillfactor": "10", "vacuum_truncate": "false", "autovacuum_vacuum_threshold": "1"}}
    left = served.open_part(plan, tables, {"statement_timeout": "30000", "lock_timeout": "1s"})
    open_of_cursors = {line.parameter for line in left.tables if line.table == "cursors"}
    assert not {"fillfactor", "vacuum_truncate"} & open_of_cursors
    assert "autovacuum_vacuum_threshold" in open_of_cursors
    names = [line.setting for line in left.roles]
    assert "statement_timeout" not in names
    assert "lock_timeout" in names
    assert left.lines == plan.lines


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "4MB"),
        ({"setting": "16384", "unit": "8kB"}, "128MB"),
        ({"setting": "900", "unit": "s"}, "15min"),
        ({"setting": "2", "unit": "ms"}, "2ms"),
        ({"setting": "-1"}, "-1"),
        ({"setting": "on", "unit": None}, "on"),
        ({"setting": "0.9", "unit": None}, "0.9"),
    ],
)
def test_a_value_as_a_person_writes_it(changed: dict[str, Any], text: str) -> None:
    assert served.shown(settings(**changed)["work_mem"]) == text


def test_a_line_for_a_setting_that_the_version_lacks_is_refused() -> None:
    inputs = Inputs(memory_bytes=8 * GIB, cpus=4, pg_version=17)
    with pytest.raises(TuneRefused):
        known.line(inputs, "io_workers", "4", "a reason", "fixed")
    with pytest.raises(TuneRefused):
        known.line(inputs, "fsync", "off", "a reason", "fixed")
    later = dataclasses.replace(inputs, pg_version=18)
    assert known.line(later, "io_workers", "4", "a reason", "fixed").needs == "reload"


def test_a_name_that_is_none_of_ours_is_answered_with_near_ones() -> None:
    with pytest.raises(TuneInputError) as wrong:
        known.check_name("shared_bufers")
    assert "shared_buffers" in str(wrong.value.hint)
    known.check_name("jit")
