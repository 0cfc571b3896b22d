"""M7: a Queen server that is near its memory budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from queen.doctor import needs
from queen.doctor.check import Check, NotSeen, Seen
from queen.doctor.finding import SEVERITIES, Finding, Fix, Severity, Threshold
from queen.doctor.probes.server import ServerSample
from queen.doctor.wal import megabytes

_MIB: Final = 1 << 20


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when its memory is near the budget, or when it refused requests for want of it."""
    numbers = _numbers(seen.server)
    budget, resident = numbers.get("memory_max", 0), numbers.get("rss", 0)
    if not budget or not resident:
        raise NotSeen("the server does not tell its memory", "a server of this version, and queen doctor --url")
    refused = numbers["memory_refused"] - _numbers(seen.server_before).get("memory_refused", 0)
    severity = _severity(seen, resident / budget, refused, numbers["memory_refused"])
    if severity is None:
        return
    wanted = _wanted(max(budget, resident))
    yield Finding(
        severity,
        f"the Queen server uses {megabytes(resident):.0f} MB of its budget of {megabytes(budget):.0f} MB"
        + (f", and refused {numbers['memory_refused']} requests for it" if numbers["memory_refused"] else ""),
        {
            "resident_MB": megabytes(resident),
            "budget_MB": megabytes(budget),
            "share": round(resident / budget, 3),
            "counted_MB": megabytes(numbers["memory_used"]),
            "refused_in_window": refused,
            "refused_since_start": numbers["memory_refused"],
            "server": seen.server.url if seen.server else None,
        },
        f"Give it more: QUEEN_MAX_MEMORY={wanted}, or queen serve --max-memory {wanted}. Without more memory: smaller "
        "bodies, fewer of them at once, and consumers that read their answers.",
        object="queen serve",
        threshold=seen.limits["limit"],
        fix=Fix("E", (f"queen serve --max-memory {wanted}",), note=f"The same: QUEEN_MAX_MEMORY={wanted} queen serve."),
    )


def _numbers(sample: ServerSample | None) -> dict[str, int]:
    """Of all workers of the server together, in bytes; empty without a server."""
    if sample is None:
        return {}
    sizes: Mapping[str, Any] = sample.metrics.get("sizes", {})
    memory: Mapping[str, Any] = sample.metrics.get("memory", {})
    found = {name: int(sizes.get(name, 0)) for name in ("memory_max", "memory_used", "memory_refused")}
    return {**found, "rss": int(memory.get("rss", 0))}


def _severity(seen: Seen, share: float, refused: int, ever: int) -> Severity | None:
    by_refusals: Severity | None = "crit" if refused > 0 else "info" if ever else None
    found = [one for one in (seen.limits["limit"].judge(share), by_refusals) if one]
    return max(found, key=lambda one: SEVERITIES[one], default=None)


def _wanted(size: int) -> str:
    """Twice as much, as a round size that a person would write."""
    wanted = 256 * _MIB
    while wanted < 2 * size:
        wanted *= 2
    return f"{wanted >> 30}GiB" if wanted >= 1 << 30 else f"{wanted >> 20}MiB"


CHECK = Check(
    id="M7",
    group="memory",
    title="Memory of the Queen server",
    why="Near its budget the server refuses large pushes with 503, so that it never dies of them; clients wait and "
    "retry.",
    false_positive="A budget that is small on purpose, with few large requests.",
    explain="""\
A Queen server counts what requests and answers hold, and looks at its resident memory, against one budget:
--max-memory, or half of the machine's memory when none is set. From 65 % on it gives memory back to the system, from
78 % on it takes no new large request. Requests that it refused so are counted.

The remedy is a larger budget, QUEEN_MAX_MEMORY or --max-memory, where the machine has it (M9). Else less at once:
smaller bodies, fewer of them, pushes as a stream, and consumers that read their answers without delay.""",
    evaluate=evaluate,
    thresholds={"limit": Threshold(0.65, 0.78, "of the budget")},
    needs=(needs.server,),
    delta=True,
)
