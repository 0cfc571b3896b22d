"""`--list` and `--explain ID`: what the checks say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queen.cli import console
from queen.cli.doctor import words
from queen.cli.doctor.screen import plain
from queen.doctor import describe
from queen.doctor.catalogue import catalogue, find
from queen.doctor.catalogue_shape import of_check, of_list, versions
from queen.doctor.check import GROUPS, Query

if TYPE_CHECKING:
    from rich.console import Console


def list_checks(screen: Console, *, as_json: bool) -> None:
    """The whole catalogue."""
    if as_json:
        console.put_json(of_list(catalogue()))
        return
    for group, title in GROUPS.items():
        checks = [check for check in catalogue() if check.group == group]
        if checks:
            _put(screen, f"{group}: {title}", "bold")
            for check in checks:
                _put(screen, f"  {check.id:5}{check.title}")
    _put(screen, f"{words.counted(len(catalogue()), 'check')}. queen doctor --explain ID tells all about one.")


def explain(screen: Console, name: str, *, as_json: bool) -> None:
    """All about one check. Raises SettingsError."""
    check = find(name)
    if as_json:
        console.put_json(of_check(check))
        return
    _put(screen, f"{check.id}  {check.title}", "bold")
    _put(screen, f"{GROUPS[check.group]}; {'two samples, a window apart' if check.delta else 'one look'}")
    _put(screen, "")
    for paragraph in check.explain.split("\n\n"):
        _put(screen, " ".join(paragraph.split()))
        _put(screen, "")
    _put(screen, f"Why it matters: {check.why}")
    _put(screen, f"When it cries wolf: {check.false_positive}")
    for name_, threshold in check.thresholds.items():
        _put(screen, f"Threshold {check.id}.{name_}: {describe.limits(threshold)} (warning / critical)")
    for need in describe.needs(check):
        _put(screen, f"Needs: {need}")
    for kind in describe.fix_classes(check):
        _put(screen, f"Repair of class {words.fix_class(kind)}")
    for name_, query in check.queries.items():
        _query(screen, name_, query)


def _query(screen: Console, name: str, query: Query) -> None:
    """Its texts, to be run by hand: never wrapped."""
    for version, text in versions(query).items():
        _put(screen, "")
        _put(screen, f"-- {name}, PostgreSQL {version} and later")
        for line in text.strip("\n").splitlines():
            screen.print(plain(line, unicode=True), soft_wrap=True)


def _put(screen: Console, text: str, style: str = "") -> None:
    from rich.text import Text

    unicode = screen.encoding.lower().replace("-", "") == "utf8"
    screen.print(Text(plain(text, unicode=unicode), style=style))
