"""What is set already for the role of Queen's servers, from the rows of ROLE_SETTINGS. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from queen.store.inspect import Row


def role_settings(rows: Iterable[Row]) -> dict[str, str]:
    """The values that new sessions of that role in this database begin with, as they were written."""
    lists = [row["setconfig"] for row in rows if row["in_database"] and row["of_role"]]
    return dict(entry.split("=", 1) for entries in lists for entry in entries)
