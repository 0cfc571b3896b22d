"""The published JSON of `--list` and `--explain`: the schema file is fresh, and every check keeps it. Pure."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from queen.doctor.catalogue import catalogue
from queen.doctor.catalogue_shape import of_check, of_list, schema, text

SCHEMA = Path(__file__).resolve().parents[2] / "config" / "doctor-catalogue.schema.json"


def test_the_published_schema_is_fresh() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == text(), (
        "python -m queen.doctor.catalogue_shape > config/doctor-catalogue.schema.json"
    )


def test_the_list_and_every_check_keep_the_schema() -> None:
    judge = jsonschema.Draft202012Validator(schema())
    data = of_list(catalogue())
    judge.validate(data)
    assert [one["id"] for one in data["checks"]] == [check.id for check in catalogue()]
    for check in catalogue():
        one = of_check(check)
        judge.validate(one)
        assert {"schema_version": 1, **one}.keys() > data["checks"][0].keys()
        assert all(texts and min(texts) >= "0" for texts in one["queries"].values())


@pytest.mark.parametrize("name", ["explain", "queries", "fix_classes"])
def test_a_check_without_a_known_field_is_refused(name: str) -> None:
    data = of_check(catalogue()[0])
    del data[name]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema())
