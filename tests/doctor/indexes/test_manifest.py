"""The manifest of the schema is that of a schema that was just migrated."""

from __future__ import annotations

from importlib import resources

from queen.doctor import manifest
from queen.doctor.checks.indexes.i2_changing_column import CHANGING
from queen.sql import functions
from queen.store.inspect import Inspector


def test_the_manifest_is_fresh(module_dsn: str) -> None:
    """Made anew by: python -m queen.doctor.manifest DSN > queen/doctor/manifest.json"""
    with Inspector(module_dsn) as inspector:
        text = manifest.text(inspector)
    kept = (resources.files("queen.doctor") / "manifest.json").read_text("utf-8")
    assert kept == text, "python -m queen.doctor.manifest DSN > queen/doctor/manifest.json"


def test_it_names_every_function_of_the_source() -> None:
    assert manifest.manifest().functions == {name for name, _ in functions()}


def test_the_columns_that_change_are_columns_and_none_of_queens_indexes_has_one() -> None:
    tables = manifest.manifest().tables
    for table, columns in CHANGING.items():
        assert columns <= set(tables[table])
    for plan in manifest.manifest().indexes.values():
        words = set(plan.definition.replace("(", " ").replace(")", " ").replace(",", " ").split())
        assert not words & CHANGING.get(plan.table, frozenset()), plan
