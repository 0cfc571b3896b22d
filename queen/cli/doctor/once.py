"""One run with its progress, the baseline taken off, and its report in the form that was asked for."""

from __future__ import annotations

import json
import sys

from queen.cli import console
from queen.cli.doctor import nagios
from queen.cli.doctor.aim import Aim, fresh, look
from queen.cli.doctor.options import Wish
from queen.cli.doctor.progress import Progress
from queen.cli.doctor.screen import screen
from queen.cli.doctor.view import View
from queen.doctor import baseline
from queen.doctor.report import Report
from queen.doctor.shape import as_data


def examine(wish: Wish, aim: Aim) -> Report:
    """The report, without what the baseline knows. Raises QueenError."""
    with Progress(shown=not (wish.quiet or wish.nagios) and sys.stderr.isatty()) as progress:
        report = look(aim, progress.stage)
    if wish.save_baseline:
        baseline.save(report, wish.save_baseline)
        console.say(f"baseline: {wish.save_baseline}")
    return fresh(aim, report)


def show(wish: Wish, report: Report, *, compact: bool = False) -> int | None:
    """Print it; the exit code where the form decides on it. `compact`: JSON on one line."""
    if wish.nagios:
        console.put(nagios.line_of(report))
        return nagios.code_of(report)
    if wish.as_json:
        data = as_data(report)
        console.put(json.dumps(data, ensure_ascii=False) if compact else json.dumps(data, indent=2, ensure_ascii=False))
    elif not wish.quiet:
        View(screen(wish.color), full=wish.verbose).report(report)
    return None
