"""What was found before and is accepted: a file of findings, and a report without them.

A finding is known by its check, its object and its severity; one that has become worse is new. Objects that change
from run to run, such as a session's number, are new each time. Checks that compare with other days have their memos in
the same file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from queen.doctor.catalogue import find
from queen.doctor.finding import SEVERITIES, Result
from queen.doctor.judge import with_findings
from queen.doctor.report import Report, together, verdict_of
from queen.errors import DoctorFileError, SettingsError

SCHEMA_VERSION: Final = 1
_KIND: Final = "queen-doctor-baseline"
_BYTES_MAX: Final = 16_000_000

Known = dict[tuple[str, str], int]
"""Severity by check and object."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a file accepts, and the memos in it by check."""

    findings: Known
    memos: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def text_of(report: Report) -> str:
    """The baseline that accepts every finding of a report, with the memos of its checks."""
    found = [
        {"id": one.result.id, "object": one.finding.object, "status": one.finding.status} for one in report.ranked()
    ]
    memos = {result.id: msgspec.to_builtins(result.memo) for result in report.results if result.memo}
    data = {"kind": _KIND, "schema_version": SCHEMA_VERSION, "findings": found, "memos": memos}
    return json.dumps(data, indent=2) + "\n"


def save(report: Report, path: Path) -> None:
    """Write the baseline, whole or not at all. Raises DoctorFileError."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text_of(report), encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise DoctorFileError(f"{path} cannot be written: {error.strerror or error}") from error


def load(path: Path) -> Baseline:
    """The findings that a file accepts, and its memos. Raises DoctorFileError."""
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(_BYTES_MAX))
        if data["kind"] != _KIND or data["schema_version"] != SCHEMA_VERSION:
            raise ValueError("kind or schema_version is another")
        findings = {_entry(one): SEVERITIES[one["status"]] for one in data["findings"]}
        return Baseline(findings, {check: _memo(check, entries) for check, entries in data.get("memos", {}).items()})
    except OSError as error:
        raise DoctorFileError(f"{path} cannot be read: {error.strerror or error}", hint=_HINT) from error
    except (ValueError, KeyError, TypeError, AttributeError, SettingsError) as error:
        raise DoctorFileError(f"{path} is no baseline of queen doctor: {error}", hint=_HINT) from error


def only_new(report: Report, known: Baseline) -> Report:
    """The report without the findings that the baseline has."""
    results = tuple(_only_new(result, known.findings) for result in report.results)
    return replace(report, results=results, verdict=verdict_of(results), together_pct=together(results))


def _only_new(result: Result, known: Known) -> Result:
    fresh = tuple(
        finding
        for finding in result.findings
        if SEVERITIES[finding.status] > known.get((result.id, finding.object or ""), 0)
    )
    gone = len(result.findings) - len(fresh)
    if not gone:
        return result
    left = with_findings(result, fresh)
    return replace(left, known=gone, status=left.status if fresh else "known")


def _memo(check: str, entries: Any) -> tuple[Any, ...]:
    """Raises msgspec.ValidationError (a ValueError), and SettingsError for a check that there is not."""
    memo = find(check).memo
    if memo is None:
        raise ValueError(f"check {check} keeps no memo")
    return tuple(msgspec.convert(entries, list[memo.shape]))  # type: ignore[name-defined]


def _entry(one: Any) -> tuple[str, str]:
    return str(one["id"]), str(one["object"] or "")


_HINT: Final = "make one with: queen doctor --save-baseline FILE"
