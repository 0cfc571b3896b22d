"""The published JSON of `--fix` and `--undo`: its classes.

`python -m queen.doctor.repair.shape` prints the schema that config/doctor-repair.schema.json holds.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import msgspec

from queen.doctor.published import schema_of, text_of
from queen.doctor.report import Verdict
from queen.doctor.shape import FindingShape


class StepShape(msgspec.Struct, frozen=True, rename={"kind": "class"}):
    """One repair: statements, each a transaction of its own, and those that take it back as its check knows them. The
    undo file has the way back as it was read from the server."""

    check: str
    object: str | None
    kind: Literal["A", "B", "C", "D", "E"]
    apply: list[str]
    undo: list[str]


class LeftShape(StepShape, frozen=True):
    """A repair that is not made, and why. `lines`: what to write elsewhere."""

    reason: str
    lines: list[str]


class DoneShape(StepShape, frozen=True):
    """A repair that was tried. `error`: what PostgreSQL said; `dropped`: indexes that the failure had left behind."""

    ok: bool
    error: str | None
    dropped: list[str]


class ChangeShape(msgspec.Struct, frozen=True):
    """A finding before its repair and after it. `after` null: it is gone, or the check could not look again, for the
    reason in `not_seen`."""

    before: FindingShape
    after: FindingShape | None
    not_seen: str | None


class RepairShape(msgspec.Struct, frozen=True):
    """What `--fix` planned and did. `verdict`: of all checks, those that were looked at again as they are now.
    `undo_file` is null when nothing was begun."""

    schema_version: Literal[1]
    dry_run: bool
    verdict: Verdict
    plan: list[StepShape]
    left: list[LeftShape]
    undo_file: str | None
    done: list[DoneShape]
    changes: list[ChangeShape]
    pending_restart: list[str]


class EntryShape(msgspec.Struct, frozen=True):
    """A statement of an undo file and its way back; `undo` is empty for one that has none and needs none."""

    check: str
    object: str | None
    statement: str
    undo: list[str]


class UndoneShape(EntryShape, frozen=True):
    """A statement that was taken back, or could not be."""

    ok: bool
    error: str | None
    note: str | None


class UndoShape(msgspec.Struct, frozen=True):
    """What `--undo` did. `plan`: what was still to be taken back, the last first; `undone` stops at the first that
    could not be, and is empty with `dry_run`."""

    schema_version: Literal[1]
    dry_run: bool
    undo_file: str
    plan: list[EntryShape]
    undone: list[UndoneShape]


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of either answer."""
    return schema_of("Repair or undo of queen doctor", [RepairShape, UndoShape])


def text() -> str:
    """The file as it is published."""
    return text_of(schema())


if __name__ == "__main__":
    sys.stdout.write(text())
