"""The published JSON of a report: the schema file is fresh, and reports keep it. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest

from queen.doctor.finding import Fix, Stake
from queen.doctor.shape import as_data, plain, schema, text
from tests.doctor.invented import FIRST, SECOND, finding, report, result

SCHEMA = Path(__file__).resolve().parents[2] / "config" / "doctor-report.schema.json"


def test_the_published_schema_is_fresh() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == text(), (
        "python -m queen.doctor.shape > config/doctor-report.schema.json"
    )


def test_reports_keep_the_schema() -> None:
    fix = Fix("A", ("VACUUM queen.partitions",), note="It needs no way back.")
    stake = Stake("modelled", 8.0, 17.0, "WAL ceiling")
    for seen in (
        report(),
        report(result(FIRST), busy=None),
        report(result(FIRST, finding("crit", fix=fix, stake=stake)), result(SECOND, finding("info", object_=None))),
        report(
            result(FIRST, status="skipped", reason="no", enable="GRANT"), result(SECOND, status="error", reason="x")
        ),
        report(result(FIRST, status="known", known=2)),
    ):
        data = json.loads(json.dumps(as_data(seen)))
        jsonschema.validate(data, schema())
        assert data["schema_version"] == 1


def test_a_finding_carries_all_that_a_reader_needs() -> None:
    fix = Fix("B", ("ALTER SYSTEM SET a = 1", "SELECT pg_reload_conf()"), ("ALTER SYSTEM RESET a",))
    (found,) = as_data(report(result(FIRST, finding("warn", fix=fix))))["findings"]
    assert found["fix"]["class"] == "B"
    assert found["threshold"] == {"warn": 1.0, "crit": 3.0, "unit": "× the trigger", "origin": "default"}
    assert all(found[name] for name in ("why", "remedy", "false_positive", "title", "summary", "evidence"))


def test_a_finding_without_a_known_field_is_refused_by_the_schema() -> None:
    data = as_data(report(result(FIRST, finding())))
    del data["findings"][0]["evidence"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema())


def test_values_of_rows_become_json() -> None:
    row = {
        "a": Decimal("1.5"), "b": float("inf"), "c": datetime(2026, 1, 2, tzinfo=UTC), "d": timedelta(seconds=3),
        "e": [Decimal(2)], "f": None, "g": True, "h": {"i": (1, 2)},
    }  # fmt: skip
    assert plain(row) == {
        "a": 1.5, "b": None, "c": "2026-01-02 00:00:00+00:00", "d": "0:00:03", "e": [2.0], "f": None, "g": True,
        "h": {"i": [1, 2]},
    }  # fmt: skip
