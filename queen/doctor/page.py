"""The catalogue as tables for docs/doctor.md. `python -m queen.doctor.page docs/doctor.md` writes them there anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from queen.doctor import describe
from queen.doctor.catalogue import catalogue
from queen.doctor.check import GROUPS, Check
from queen.doctor.finding import Threshold

BEGIN: Final = "<!-- the catalogue: written by python -m queen.doctor.page docs/doctor.md -->\n"
END: Final = "<!-- end of the catalogue -->\n"


def tables() -> str:
    """One table a group that has checks."""
    parts = []
    for group, title in GROUPS.items():
        checks = [check for check in catalogue() if check.group == group]
        if checks:
            rows = [_row(check) for check in checks]
            head = ["| id | check | warn / critical | needs | repair |", "|---|---|---|---|---|"]
            parts.append("\n".join([f"### {title[0].upper()}{title[1:]} (`{group}`)", "", *head, *rows]) + "\n")
    return "\n" + "\n".join(parts) + "\n"


def renewed(page: str) -> str:
    """The page with the tables of now. Raises ValueError when it has no place for them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the catalogue")
    return before + begin + tables() + end + after


def _row(check: Check) -> str:
    limits = "; ".join(_limit(name, limit) for name, limit in check.thresholds.items())
    needs = " ".join(describe.needs(check))
    delta = " Δ" if check.delta else ""
    cells = (f"{check.id}{delta}", check.title, limits, needs, ", ".join(describe.fix_classes(check)))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _limit(name: str, limit: Threshold) -> str:
    text = describe.limits(limit)
    return text if name == "limit" else f"{name} {text}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
