"""Finds the SQL files and hands them out. It knows their order and nothing of what they say.

`tables/` holds numbered, forward-only migrations; `functions/` is source, created anew on every migration. All of it
is written relative to the first schema of search_path. Reads are functions too: a function keeps the search_path it
was created under, so no session setting is needed, which a transaction pooler would not keep.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import NamedTuple

_NUMBERED = re.compile(r"^(\d{4})_\w+\.sql$")


class Migration(NamedTuple):
    """One numbered step of the tables."""

    version: int
    name: str
    text: str


@functools.cache
def migrations() -> tuple[Migration, ...]:
    """All steps of the tables, in order. The last one's version is the schema version of this code."""
    steps = []
    for file in (resources.files(__name__) / "tables").iterdir():
        if match := _NUMBERED.match(file.name):
            steps.append(Migration(int(match[1]), file.name, file.read_text("utf-8")))
    return tuple(sorted(steps))


@functools.cache
def functions() -> tuple[tuple[str, str], ...]:
    """(name, text) of every function file, by name. Bodies are not checked when created, so the order is free."""
    folder = resources.files(__name__) / "functions"
    files = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return tuple(sorted((file.name[:-4], file.read_text("utf-8")) for file in files))


@functools.cache
def catalog(name: str) -> str:
    """One statement about PostgreSQL itself, from `catalog/`, for those who look on. Raises OSError for a name that
    is none."""
    return (resources.files(__name__) / "catalog" / f"{name}.sql").read_text("utf-8")


def schema_version() -> int:
    """The version of the tables that this code expects."""
    return migrations()[-1].version
