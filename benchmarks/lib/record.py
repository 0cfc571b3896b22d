"""What every result file has in common: when, where, with what, and whether it may be believed.

It stores and names files; what was measured is added by each command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from benchmarks.lib.facts import REPOSITORY

SCHEMA_VERSION = 1
RESULTS = REPOSITORY / "benchmarks" / "results"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `valid` is false when anything in `problems` forbids quoting its figures."""

    schema_version: int = SCHEMA_VERSION
    benchmark: str
    started_at: str
    duration_s: float
    valid: bool
    problems: list[str]
    parameters: dict[str, Any]
    facts: dict[str, Any]


def save(record: Record, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def default_path(record: Record, folder: Path = RESULTS) -> Path:
    """`<benchmark>-<date>-<short sha>.json`; a later run of the same day and commit gets a number."""
    sha = (record.facts.get("git", {}).get("sha") or "nocommit")[:8]
    stem = f"{record.benchmark}-{record.started_at[:10]}-{sha}"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    return next(path for name in names if not (path := folder / f"{name}.json").exists())
