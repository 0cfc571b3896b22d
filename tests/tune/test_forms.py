"""The forms of a plan: a file, statements, a parameter group, JSON. PostgreSQL's own parser reads the statements."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pglast
from hypothesis import given, settings
from hypothesis import strategies as st
from pglast import keywords

from queen.store import alter
from queen.tune import conf, forms
from queen.tune.inputs import GIB, Inputs
from queen.tune.known import KNOWN
from queen.tune.plan import Plan, make_plan

INPUTS = Inputs(
    memory_bytes=8 * GIB,
    cpus=4,
    pg_version=17,
    libraries=("pg_stat_statements",),
    preloaded=("auto_explain",),
    origins={"memory_bytes": "measured here: MemTotal"},
)


def plan() -> Plan:
    return make_plan(INPUTS)


def read_conf(text: str) -> dict[str, str]:
    """The settings of a file."""
    rows = [line.partition("#")[0].partition("=") for line in text.splitlines() if not line.startswith("#")]
    return {name.strip(): value.strip().strip("'") for name, _, value in rows if name.strip()}


def test_the_file_holds_every_line_with_its_reason_and_its_formula() -> None:
    text = conf.conf(plan(), ["a title"])
    assert read_conf(text) == {line.name: line.value for line in plan().lines}
    for line in plan().lines:
        setting = next(row for row in text.splitlines() if row.startswith(f"{line.name} ="))
        assert line.reason in setting
        assert ("restart" in setting.partition(line.reason)[2]) is (line.needs == "restart")
        if line.formula != "fixed":
            assert line.formula.split(";")[0][:60] in text


def test_what_is_so_already_is_marked() -> None:
    rows = conf.conf(plan(), [], so={"jit"}).splitlines()
    assert [row.split()[0] for row in rows if row.endswith("so already")] == ["jit"]


def test_the_inputs_stand_with_their_origins() -> None:
    rows = conf.input_lines(INPUTS)
    assert any("8 GiB" in row and "measured here: MemTotal" in row for row in rows)
    assert any("1000 messages/s" in row and "default" in row for row in rows)


def test_values_with_commas_and_quotes_are_quoted() -> None:
    assert conf.quoted("a, b") == "'a, b'"
    assert conf.quoted("it's") == "'it''s'"
    assert conf.quoted("0.9") == "0.9"
    assert conf.quoted("512MB") == "512MB"


def test_the_statements_are_sql_with_a_reason_each() -> None:
    text = forms.alter_system(plan(), "queen", "queen")
    statements: Any = pglast.parse_sql(text)
    names = [node.stmt.setstmt.name for node in statements if type(node.stmt).__name__ == "AlterSystemStmt"]
    assert names == [line.name for line in plan().lines]
    kinds = {type(node.stmt).__name__ for node in statements}
    assert kinds == {"AlterSystemStmt", "SelectStmt", "AlterTableStmt", "AlterRoleSetStmt"}
    for line in plan().lines:
        assert f"-- {line.reason}" in text


def test_a_list_is_set_as_a_list() -> None:
    text = alter.set_system("shared_preload_libraries", "auto_explain, pg_stat_statements")
    statement: Any = pglast.parse_sql(text)[0]
    assert len(statement.stmt.setstmt.args) == 2


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(TEXTS.filter(bool), TEXTS)
@settings(max_examples=200, deadline=None)
def test_whatever_a_name_or_a_value_holds_it_stays_one(name: str, value: str) -> None:
    for text in (
        alter.set_table(name, name, {"fillfactor": value}),
        alter.reset_table(name, name, ["fillfactor"]),
        alter.set_role(name, "jit", value),
        alter.reset_role(name, "jit"),
        alter.set_system("work_mem", value),
        alter.reset_system("work_mem"),
    ):
        assert len(pglast.parse_sql(text)) == 1


def test_every_keyword_is_quoted_and_plain_names_are_not() -> None:
    kinds = (keywords.RESERVED_KEYWORDS, keywords.TYPE_FUNC_NAME_KEYWORDS, keywords.COL_NAME_KEYWORDS)
    assert [word for kind in kinds for word in kind if alter.identifier(word) != f'"{word}"'] == []
    assert [alter.identifier(name) for name in ("queen", "work_mem", "jit")] == ["queen", "work_mem", "jit"]
    assert alter.identifier("Odd") == '"Odd"'


def test_without_a_role_none_is_altered() -> None:
    assert "ALTER ROLE" not in forms.alter_system(plan(), "queen", None)


def test_a_parameter_group_has_plain_numbers_in_base_units() -> None:
    group = {entry["ParameterName"]: entry for entry in forms.parameter_group(plan())}
    assert group["shared_buffers"]["ParameterValue"] == str(2 * GIB // 8192)
    assert group["shared_buffers"]["ApplyMethod"] == "pending-reboot"
    assert group["checkpoint_timeout"] == {
        "ParameterName": "checkpoint_timeout",
        "ParameterValue": "900",
        "ApplyMethod": "immediate",
    }
    assert group["checkpoint_completion_target"]["ParameterValue"] == "0.9"
    assert group["jit"]["ParameterValue"] == "off"
    for name, entry in group.items():
        assert KNOWN[name].unit is None or entry["ParameterValue"].isdecimal(), name


def test_the_json_object_has_all_of_the_plan() -> None:
    made = dataclasses.replace(INPUTS, fpi_share=0.25)
    document = json.loads(json.dumps(forms.document(make_plan(made), so={"jit"})))
    assert document["schema_version"] == 1
    assert document["inputs"]["memory_bytes"] == {"value": 8 * GIB, "origin": "measured here: MemTotal"}
    assert {entry["name"] for entry in document["settings"]} == {line.name for line in make_plan(made).lines}
    assert [entry["name"] for entry in document["settings"] if entry["is_so"]] == ["jit"]
    assert len(document["tables"]) == len(plan().tables)
    assert document["role"]
    assert document["notes"]
