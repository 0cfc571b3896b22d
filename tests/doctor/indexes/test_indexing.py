"""Statements that make an index in every child: each part has a name of its own. Pure."""

from __future__ import annotations

import pytest

from queen.doctor.indexing import create

CHILDREN = [{"name": f"queen.messages_{number}", "relname": f"messages_{number}"} for number in (1, 2, 12)]


@pytest.mark.parametrize("index", ["short", "x" * 63, "y" + "x" * 62, "ä" * 31])
def test_parts_of_long_names_are_told_apart_within_what_postgresql_keeps(index: str) -> None:
    made = create(index, "queen.messages", False, "btree (created_at)", CHILDREN)
    names = [line.split(" ON ")[0].rsplit(" ", 1)[1].strip('"') for line in made if "CONCURRENTLY" in line]
    kept = {name.encode()[:63] for name in names}
    assert len(kept) == 3
    assert all(f"ATTACH PARTITION queen.{name}" in " ".join(made).replace('"', "") for name in names)


def test_parts_of_two_long_names_are_told_apart() -> None:
    first, second = (create(letter + "x" * 62, "queen.messages", False, "btree (a)", CHILDREN) for letter in "ab")
    assert not {line for line in first if "CREATE INDEX CONCURRENTLY" in line} & set(second)
