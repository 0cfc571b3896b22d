"""What a report comes to for the exit code, and what is kept of checks that failed."""

from __future__ import annotations

from queen.cli import console
from queen.cli.doctor.options import FailOn
from queen.doctor.finding import SEVERITIES
from queen.doctor.report import Report


def code_of(report: Report, fail_on: FailOn) -> int:
    """3 when nothing could be checked; 1 for a finding at or above `fail_on`; 70 when a check failed, which is a bug of
    ours and must not pass for well; else 0."""
    if report.verdict == "unknown" and not report.count("error"):
        return console.UNREACHABLE
    if report.worst() >= SEVERITIES[fail_on.value]:
        return console.FOUND
    return console.BUG if report.count("error") else console.DONE


def keep_traces(report: Report) -> None:
    """Write what failed to a file, and name it on standard error."""
    failed = [result for result in report.results if result.status == "error"]
    if not failed:
        return
    place = console.keep_trace("\n".join(f"check {result.id}\n{result.trace or result.reason}" for result in failed))
    ids = ", ".join(result.id for result in failed)
    console.say(f"queen: the check {ids} failed; this is a bug of Queen; please report it with {place}")
