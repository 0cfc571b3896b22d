"""A report as text: verdict first, a line a group, a panel a finding, then what was skipped and how to enable it.

Fits the console's width, 40 columns and more. A panel has no side lines, so that its statements can be copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from queen.cli.doctor import words
from queen.cli.doctor.screen import plain
from queen.doctor.catalogue import find
from queen.doctor.check import GROUPS
from queen.doctor.finding import Finding, Fix, Result
from queen.doctor.report import Ranked, Report

if TYPE_CHECKING:
    from rich.console import Console

_LABEL_WIDTH: Final = 8
_SHOWN_MAX: Final = 6
"""Findings of one check that a short report lists."""


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
        for found in _by_check(report.ranked()):
            self._panel(found, report)
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
                    self._marked(result.status, f"{result.id:5}{result.title}", indent=2)
        self._console.print()

    def _marked(self, status: str, text: str, indent: int = 0) -> None:
        sign = words.mark(status, unicode=self._unicode)
        self._hang(" " * indent + sign + " ", text, "", label_style=words.MARKS[status][1])

    def _panel(self, found: Sequence[Ranked], report: Report) -> None:
        """All findings of one check: each with its figures, and once what they share."""
        check, first = find(found[0].result.id), found[0].finding
        many = len(found) > 1
        count = f": {words.counted(len(found), 'finding')}" if many else ""
        self.head(words.worst(one.finding.status for one in found), f"{check.id}  {check.title}{count}")
        for one in found[: None if self._full else _SHOWN_MAX]:
            self._fact(one.finding, marked=many)
        if not self._full and len(found) > _SHOWN_MAX:
            self.line(f"… and {len(found) - _SHOWN_MAX} more (-v shows them)")
        if limit := words.limit(first):
            self.row("limit", limit)
        self.row("why", check.why)
        for text in _distinct(words.stake(one.finding.at_stake, report.busy) for one in found):
            self.row("at stake", text)
        self.row("do", "\n".join(_distinct(one.finding.remedy for one in found)))
        self._fixes(check.id, [one.finding.fix for one in found if one.finding.fix and one.finding.fix.apply])
        if self._full:
            self.row("unless", check.false_positive, "dim")
        self._console.print()

    def _fact(self, finding: Finding, *, marked: bool) -> None:
        if not marked:
            self.line(finding.summary, "bold")
            self.row("seen", words.evidence(finding, full=self._full))
            return
        self._marked(finding.status, finding.summary)
        if self._full:
            self.row("  seen", words.evidence(finding, full=True))

    def _fixes(self, check: str, fixes: Sequence[Fix]) -> None:
        """The statements by their class, each once."""
        for kind in sorted({fix.kind for fix in fixes}):
            those = [fix for fix in fixes if fix.kind == kind]
            lines = _distinct(line for fix in those for line in words.fix_lines(fix))
            shown = lines if self._full else lines[:_SHOWN_MAX]
            self.row(f"fix {kind}", "\n".join(shown), "cyan")
            for text in (*_distinct(fix.note for fix in those), words.fix_how(check, those[0])):
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


def _by_check(ranked: Sequence[Ranked]) -> list[list[Ranked]]:
    """Findings by check, the checks in the order of their first findings."""
    found: dict[str, list[Ranked]] = {}
    for one in ranked:
        found.setdefault(one.result.id, []).append(one)
    return list(found.values())


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _verdict_status(report: Report) -> str:
    return {"healthy": "ok", "unknown": "error"}.get(report.verdict, report.verdict)


def _group_status(results: Sequence[Result]) -> str:
    return words.worst(result.status for result in results)


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
