"""Words of the doctor's text: marks, stakes, evidence. Pure; knows no console."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from queen.doctor.describe import number
from queen.doctor.finding import FIX_CLASSES, Finding, Fix, Stake
from queen.doctor.report import Report
from queen.doctor.shape import plain

MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "ok": ("✓", "green"),
    "known": ("✓", "green"),
    "info": ("i", "cyan"),
    "warn": ("!", "yellow"),
    "crit": ("✗", "bold red"),
    "error": ("✗", "magenta"),
    "skipped": ("-", "dim"),
}
"""Sign and colour of each status; the word is always beside them."""

WORDS: Final[Mapping[str, str]] = {"skipped": "skip", "crit": "CRIT", "error": "ERROR"}
_EVIDENCE_SHORT: Final = 8
_VALUE_CHARS: Final = 160


_WORST_FIRST: Final = ("crit", "error", "warn", "info", "known", "ok", "skipped")


def worst(statuses: Iterable[str]) -> str:
    """The status that speaks for all of them."""
    return min(statuses, key=_WORST_FIRST.index)


def mark(status: str, *, unicode: bool) -> str:
    """`! warn`; without UTF-8 `warn`."""
    word = WORDS.get(status, status)
    return f"{MARKS[status][0]} {word:5}" if unicode else f"{word:5}"


def counted(number: int, word: str, words: str | None = None) -> str:
    """`1 warning`, `2 warnings`."""
    return f"{number} {word if number == 1 else words or word + 's'}"


def verdict(report: Report) -> str:
    """The first thing to read."""
    if report.verdict == "unknown":
        return "Unknown: nothing could be checked."
    named = {
        "crit": ("critical finding", "critical findings"),
        "warn": ("warning", "warnings"),
        "info": ("note", "notes"),
    }
    found = [counted(number, *named[severity]) for severity, number in report.severities().items() if number]
    made = len(report.results) - report.count("skipped", "error")
    text = f"{', '.join(found) if found else 'Healthy: nothing found'} in {counted(made, 'check')}."
    if report.known:
        text = text.replace("nothing found", "nothing new found")
    return text + _caveats(report)


def _caveats(report: Report) -> str:
    """What the verdict does not cover."""
    text = ""
    if report.count("error"):
        text += f" {counted(report.count('error'), 'check')} failed: a bug of Queen."
    if report.known:
        text += f" {counted(report.known, 'known finding')} of the baseline not shown."
    return text


def together(report: Report) -> str | None:
    """What all repairs bring at most."""
    if report.together_pct is None:
        return None
    if report.busy is False:
        return f"Together at most {report.together_pct:g} %, as headroom, not rate: nothing is saturated now."
    return f"Throughput at stake: together at most {report.together_pct:g} % more than today's rate."


def stake(at: Stake, busy: bool | None) -> str:
    """What one repair may bring, with its kind and method: never a bare percentage."""
    if at.kind == "none" or at.high_pct is None:
        return "not today's rate, but safety, latency or the future"
    share = f"{at.low_pct:g}–{at.high_pct:g} %" if at.low_pct else f"at most {at.high_pct:g} %"
    how = f"{at.kind}{', ' + at.method if at.method else ''}"
    if busy is False:
        return f"{share} more headroom, not rate: nothing is saturated now ({how})"
    return f"{share} more than today's rate ({how})"


def evidence(finding: Finding, *, full: bool) -> str:
    """The figures as `name=value`; long values and many of them are cut unless `full`."""
    pairs = [f"{name}={_value(value, full)}" for name, value in finding.evidence.items() if value is not None]
    if full or len(pairs) <= _EVIDENCE_SHORT:
        return ", ".join(pairs)
    return ", ".join(pairs[:_EVIDENCE_SHORT]) + f", … (-v: {len(pairs) - _EVIDENCE_SHORT} more)"


def limit(finding: Finding) -> str | None:
    """`warn 60, crit 600 s (default)`."""
    at = finding.threshold
    if at is None:
        return None
    given = [(name, value) for name, value in (("warn", at.warn), ("crit", at.crit)) if value is not None]
    text = ", ".join(f"{name} {number(value)}" for name, value in given) or "never"
    return f"{text} {at.unit} ({at.origin})".replace("  ", " ")


def fix_lines(fix: Fix) -> list[str]:
    """Lines to paste."""
    return list(fix.apply) if fix.kind == "E" else [line.rstrip("; ") + ";" for line in fix.apply]


def fix_how(check: str, fix: Fix) -> str:
    """How to let the doctor run them; empty when it never does."""
    return {
        "A": f"or: queen doctor --fix {check}",
        "B": f"or: queen doctor --fix {check} --allow reload",
        "C": f"or: queen doctor --fix {check} --allow restart",
        "D": f"or, with your consent: queen doctor --fix {check} --yes",
        "E": "",
    }[fix.kind]


def fix_class(kind: str) -> str:
    """`A online: applied by --fix`."""
    return f"{kind}  {FIX_CLASSES[kind]}"


def _value(value: Any, full: bool) -> str:
    data = plain(value)
    if isinstance(data, bool):
        text = "yes" if data else "no"
    elif isinstance(data, float):
        text = f"{data:.4g}" if abs(data) < 1e4 else f"{data:.0f}"
    elif isinstance(data, str):
        text = " ".join(data.split()) or "''"
    elif isinstance(data, dict | list):
        text = json.dumps(data, ensure_ascii=False)
    else:
        text = str(data)
    return text if full or len(text) <= _VALUE_CHARS else text[: _VALUE_CHARS - 1] + "…"
