"""The published JSON of repairs: the schema file is fresh, and what it does not know is refused. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from queen.cli.doctor.repair_data import Change, of_repair, of_undo
from queen.doctor.repair.act import Done, Outcome, Undone
from queen.doctor.repair.journal import Entry
from queen.doctor.repair.plan import Left, Plan, Step
from queen.doctor.repair.shape import schema, text
from queen.doctor.report import Ranked
from tests.doctor.invented import FIRST, finding, report, result

SCHEMA = Path(__file__).resolve().parents[3] / "config" / "doctor-repair.schema.json"
STEP = Step(FIRST, "queen.partitions", "dead rows", "A", ("VACUUM queen.partitions",))
ENTRY = Entry(1, FIRST, None, "ALTER TABLE t SET (a = 1)", ("ALTER TABLE t RESET (a)",), None, True, False, False)


def test_the_published_schema_is_fresh() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == text(), (
        "python -m queen.doctor.repair.shape > config/doctor-repair.schema.json"
    )


def a_repair() -> dict[str, Any]:
    """With everything that may be in one."""
    failed = Done(STEP, 0, "it is locked", "try again", ("queen.half",))
    left = Left(Step("V4", None, "held", "D", ("SELECT 1",), ("SELECT 2",)), "needs your consent", ("a line",))
    before = Ranked(result(FIRST), finding())
    changes = [Change(before, None), Change(before, before), Change(before, None, "statistics were reset")]
    outcome = Outcome((Done(STEP, 1), failed), Path("a.undo"))
    return of_repair(Plan((STEP,), (left,)), outcome, changes, report(before.result), ["wal_buffers"], dry_run=False)


def test_repairs_keep_the_schema() -> None:
    data = a_repair()
    jsonschema.validate(data, schema())
    assert [one["ok"] for one in data["done"]] == [True, False]
    assert [change["not_seen"] for change in data["changes"]] == [None, None, "statistics were reset"]
    assert data["left"][0]["class"] == "D"
    nothing = of_repair(Plan((), ()), Outcome((), None), [], report(result(FIRST)), [], dry_run=True)
    jsonschema.validate(nothing, schema())


def test_undoes_keep_the_schema() -> None:
    for found, dry_run in (
        ([Undone(ENTRY), Undone(ENTRY, "gone"), Undone(ENTRY, note="it was not there")], False),
        ([], True),
    ):
        data = of_undo(Path("a.undo"), [ENTRY], found, dry_run=dry_run)
        jsonschema.validate(data, schema())
        assert (data["plan"][0]["undo"], data["dry_run"]) == ([*ENTRY.undo], dry_run)


@pytest.mark.parametrize("name", ["undo_file", "done", "verdict"])
def test_an_answer_without_a_known_field_is_refused(name: str) -> None:
    data = a_repair()
    del data[name]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema())
