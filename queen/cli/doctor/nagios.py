"""A report as monitoring systems of the Nagios family want it: one line with performance data, codes 0 to 3. Pure."""

from __future__ import annotations

from typing import Final

from queen.cli.doctor.words import counted
from queen.doctor.report import Report

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
_WORDS: Final = {OK: "OK", WARNING: "WARNING", CRITICAL: "CRITICAL", UNKNOWN: "UNKNOWN"}
_NAMED_MAX: Final = 3
_CHARS_MAX: Final = 400


def code_of(report: Report) -> int:
    """0 ok or notes, 1 warnings, 2 critical; 3 when nothing could be checked, or when a check failed and none found
    anything."""
    if report.verdict == "unknown":
        return UNKNOWN
    by_worst = {3: CRITICAL, 2: WARNING}
    found = by_worst.get(report.worst(), OK)
    return UNKNOWN if found == OK and report.count("error") else found


def line_of(report: Report) -> str:
    """`QUEEN WARNING - V1: … | crit=0;;1 warn=2;1 …`."""
    severities = report.severities()
    figures = [
        f"crit={severities['crit']};;1",
        f"warn={severities['warn']};1",
        f"info={severities['info']}",
        f"checks={len(report.results)}",
        f"skipped={report.count('skipped')}",
        f"failed={report.count('error')}",
        f"time={sum(report.stages.values()):.3f}s",
    ]
    return f"{head(code_of(report), _text(report))} | {' '.join(figures)}"


def head(code: int, text: str) -> str:
    """The line without figures."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text).replace("|", "/")
    shown = clean if len(clean) <= _CHARS_MAX else clean[: _CHARS_MAX - 3] + "..."
    return f"QUEEN {_WORDS[code]} - {shown}"


def _text(report: Report) -> str:
    if report.verdict == "unknown":
        return "nothing could be checked"
    worth = [one for one in report.ranked() if one.finding.status != "info"]
    failed = [f"check {result.id} failed" for result in report.results if result.status == "error"]
    parts = [f"{one.result.id}: {one.finding.summary}" for one in worth[:_NAMED_MAX]] + failed[:_NAMED_MAX]
    more = len(worth) - _NAMED_MAX
    if more > 0:
        parts.append(f"and {more} more")
    notes = report.severities()["info"]
    found = f"found {counted(notes, 'note')} and nothing worse" if notes else "found nothing"
    return "; ".join(parts) or f"{counted(len(report.results) - report.count('skipped'), 'check')} {found}"
