"""Numbers of a result as people read them, for the terminal and the page alike. What was not measured is `n/a`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from queen.bench import percentiles
from queen.bench.result import Percentiles, Result
from queen.units import format_bytes

NOTHING: Final = "n/a"
PERCENTS: Final = (
    ("p50", 50.0),
    ("p90", 90.0),
    ("p95", 95.0),
    ("p99", 99.0),
    ("p99_9", 99.9),
    ("p99_99", 99.99),
)
METRIC_WORDS: Final = {
    "response": "response",
    "service": "service",
    "e2e": "end-to-end",
    "ack": "ack",
    "pop": "pop",
    "insert": "insert (in the server)",
    "generator_lag": "generator lag",
    "connection_wait": "connection wait",
}


def number(value: float | None, digits: int = 3) -> str:
    """Thousands by commas; at least `digits` digits that count."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    shown = f"{value:,.{min(decimals, 6)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def milliseconds(value: float | None) -> str:
    return NOTHING if value is None else f"{number(value)} ms"


def rate(value: float | None) -> str:
    return NOTHING if value is None else f"{number(value, 5)}/s"


def share(value: float | None) -> str:
    """A share of one as percent."""
    return NOTHING if value is None else f"{number(value * 100)} %"


def margin(value: float | None) -> str:
    """What is to spare of an objective's limit, with its sign; nothing where there is no such share."""
    if value is None:
        return ""
    return f"{value * 100:+,.0f} %" if abs(value) >= 0.1 or not value else f"{value * 100:+.1f} %"


def percentile(of: Percentiles | None, name: str, percent: float) -> str:
    """One percentile, or why it is not there."""
    value = getattr(of, name) if of is not None else None
    if value is not None or of is None:
        return number(value)
    return NOTHING if percentiles.showable(percent, of.count) else f"{NOTHING} (needs {percentiles.needed(percent):,})"


def has_headline(result: Result) -> bool:
    """May figures of this run be claimed? Not those of an invalid or wrong one."""
    return result.verdict.word in ("pass", "fail")


def claims(result: Result) -> dict[str, str]:
    """What stands beside every headline figure: durability, replication, co-location, size of the messages."""
    workload, server = result.request.workload, result.server
    return {
        "durability": (server.durability if server else None) or "not known",
        "replication": _replication(result.fingerprint),
        "machines": "generator and server share one" if _together(result) else "not known to be shared",
        "payload": f"{format_bytes(workload.payload_bytes)}, {share(workload.random_share)} random",
        "batches": f"{workload.push_batch} a push, up to {workload.pop_batch} a pop",
    }


def _replication(fingerprint: Mapping[str, Any]) -> str:
    found = _find(fingerprint, "synchronous_standbys")
    if not isinstance(found, int):
        return "not known"
    return f"{found} synchronous standby" + ("s" if found > 1 else "") if found else "none"


def _together(result: Result) -> bool:
    known = _find(result.fingerprint, "colocated")
    return known if isinstance(known, bool) else result.request.own_server


def _find(tree: Mapping[str, Any], key: str) -> Any:
    """The value of a key anywhere in nested mappings; None when there is none."""
    if key in tree:
        return tree[key]
    below = (_find(value, key) for value in tree.values() if isinstance(value, Mapping))
    return next((value for value in below if value is not None), None)


def flat(tree: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested mappings as rows of a dotted name and a text."""
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{name}.")
        else:
            rows.append((name, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)))
    return rows
