"""A report as text: verdict first, a line a group, a panel a finding, then what was skipped and how to enable it.

Fits the console's width, 40 columns and more. A panel has no side lines, so that its statements can be copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from queen.cli.doctor import words
from queen.cli.doctor.screen import plain
from queen.doctor.catalogue import find
from queen.doctor.check import GROUPS
from queen.doctor.finding import Fix, Result
from queen.doctor.report import Ranked, Report

if TYPE_CHECKING:
    from rich.console import Console

_WORST_FIRST: Final = ("crit", "error", "warn", "info", "known", "ok")
_LABEL_WIDTH: Final = 8


class View:
    """Prints reports to one console. `full`: every check and every figure."""

    def __init__(self, console: Console, *, full: bool = False) -> None:
        self._console = console
        self._full = full
        self._unicode = console.encoding.lower().replace("-", "") == "utf8"

    def report(self, report: Report, *, closing: bool = True) -> None:
        """The whole report. `closing`: with the line that tells what to do next."""
        self._head(report)
        self._groups(report)
        for one in report.ranked():
            self._finding(one, report)
        self._errors(report.results)
        self._skipped(report.results)
        if closing:
            self._closing(report)

    def line(self, text: str, style: str = "") -> None:
        """One paragraph, wrapped."""
        self._hang("", text, style)

    def row(self, label: str, text: str, style: str = "") -> None:
        """One row with its label in a column of its own."""
        self._hang(label.ljust(_LABEL_WIDTH) + " ", text, style, label_style="dim")

    def head(self, status: str, text: str) -> None:
        """The line above a panel."""
        from rich.rule import Rule
        from rich.text import Text

        title = Text(self._plain(f"{words.mark(status, unicode=self._unicode).strip()} {text}"))
        title.stylize(words.MARKS[status][1])
        title.truncate(self._console.width - 4, overflow="ellipsis" if self._unicode else "crop")
        self._console.print(Rule(title, align="left", style="dim", characters="─" if self._unicode else "-"))

    def _head(self, report: Report) -> None:
        about = report.about
        way = "through a transaction pooler" if about.get("pooled") else "direct"
        where = f"PostgreSQL {about.get('postgres')}, database {about.get('database')}, role {about.get('role')}, {way}"
        standby = ", standby" if about.get("standby") else ""
        server = f", server {about['server']}" if about.get("server") else ""
        self.line(words.verdict(report), style=f"bold {words.MARKS[_verdict_status(report)][1]}")
        if together := words.together(report):
            self.line(together)
        seconds = sum(report.stages.values())
        checks = words.counted(len(report.results), "check")
        self.line(f"Queen doctor · {where}{standby}{server} · {checks}, {seconds:.1f} s", style="dim")
        self._console.print()

    def _groups(self, report: Report) -> None:
        for group, title in GROUPS.items():
            results = [result for result in report.results if result.group == group]
            if not results:
                continue
            self._marked(_group_status(results), f"{title}: {_group_text(results)}")
            if self._full:
                for result in results:
                    self._marked(result.status, f"{result.id:4}{result.title}", indent=2)
        self._console.print()

    def _marked(self, status: str, text: str, indent: int = 0) -> None:
        sign = words.mark(status, unicode=self._unicode)
        self._hang(" " * indent + sign + " ", text, "", label_style=words.MARKS[status][1])

    def _finding(self, one: Ranked, report: Report) -> None:
        check, finding = find(one.result.id), one.finding
        self.head(finding.status, f"{check.id}  {check.title}")
        self.line(finding.summary, "bold")
        self.row("seen", words.evidence(finding, full=self._full))
        if limit := words.limit(finding):
            self.row("limit", limit)
        self.row("why", check.why)
        self.row("at stake", words.stake(finding.at_stake, report.busy))
        self.row("do", finding.remedy)
        if finding.fix is not None and finding.fix.apply:
            self._fix(check.id, finding.fix)
        if self._full:
            self.row("unless", check.false_positive, "dim")
        self._console.print()

    def _fix(self, check: str, fix: Fix) -> None:
        self.row(f"fix {fix.kind}", "\n".join(words.fix_lines(fix)), "cyan")
        for text in (fix.note, words.fix_how(check, fix)):
            if text:
                self.row("", text)

    def _hang(self, label: str, text: str, style: str, label_style: str = "") -> None:
        """Text beside a label, wrapped within its column. No line ends in blanks, so that lines can be copied."""
        from rich.text import Text

        width = max(self._console.width - len(label), 10)
        lines = Text(self._plain(text), style=style, overflow="fold").wrap(self._console, width)
        for number, line in enumerate(lines):
            line.rstrip()
            head = Text(label if number == 0 else " " * len(label), style=label_style)
            whole = Text.assemble(head, line)
            whole.rstrip()
            self._console.print(whole, soft_wrap=True)

    def _errors(self, results: Sequence[Result]) -> None:
        for result in results:
            if result.status == "error":
                self.head("error", f"{result.id}  {result.title}")
                self.line(f"The check itself failed, which is a bug of Queen: {result.reason}")
                self._console.print()

    def _skipped(self, results: Sequence[Result]) -> None:
        grouped: dict[tuple[str, str], list[str]] = {}
        for result in results:
            if result.status == "skipped":
                grouped.setdefault((result.reason or "", result.enable or ""), []).append(result.id)
        if not grouped:
            return
        self.line("Skipped, so not known to be well:", style="bold")
        for (reason, enable), ids in grouped.items():
            self._marked("skipped", f"{reason} ({', '.join(ids)})")
            if enable:
                self.row("  enable", enable, "cyan")
        self._console.print()

    def _closing(self, report: Report) -> None:
        hints = []
        if any(one.finding.fix and one.finding.fix.kind == "A" for one in report.ranked()):
            hints.append("queen doctor --fix repairs what can be repaired online; with --dry-run it only shows how.")
        if report.ranked():
            hints.append(f"queen doctor --explain {report.ranked()[0].result.id} tells more.")
        if not self._full:
            hints.append("queen doctor -v shows everything.")
        again = f"{words.verdict(report)} " if report.ranked() else ""
        self.line(again + " ".join(hints))

    def _plain(self, text: str) -> str:
        return plain(text, unicode=self._unicode)


def _verdict_status(report: Report) -> str:
    return {"healthy": "ok", "unknown": "error"}.get(report.verdict, report.verdict)


def _group_status(results: Sequence[Result]) -> str:
    found = {result.status for result in results}
    return next((status for status in _WORST_FIRST if status in found), "skipped")


def _group_text(results: Sequence[Result]) -> str:
    findings = sum(len(result.findings) for result in results)
    skipped = sum(result.status == "skipped" for result in results)
    errors = sum(result.status == "error" for result in results)
    known = sum(result.known for result in results)
    parts = [words.counted(len(results), "check")]
    parts += [words.counted(findings, "finding")] if findings else []
    parts += [f"{known} known"] if known else []
    parts += [f"{errors} failed"] if errors else []
    parts += [f"{skipped} skipped"] if skipped else []
    return ", ".join(parts)
