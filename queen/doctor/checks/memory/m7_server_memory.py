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
    now, before = _numbers(seen.server), _numbers(seen.server_before)
    budget, resident = now.get("budget", 0), now.get("rss", 0)
    if not budget or not resident:
        raise NotSeen("the server does not tell its memory", "a server of this version, and queen doctor --url")
    refused = now["refused"] - before.get("refused", 0)
    severity = _severity(seen, resident / budget, refused, now["refused"])
    if severity is not None:
        yield _finding(seen, severity, now, refused)


def _numbers(sample: ServerSample | None) -> dict[str, int]:
    """Of all workers of the server together, in bytes; empty without a server. The status tells more than the metrics,
    in a server that has it: peaks, and the memory of its machine."""
    if sample is None:
        return {}
    sizes, memory = _part(sample.metrics, "sizes"), _part(sample.metrics, "memory")
    told = {"budget": sizes.get("memory_max"), "used": sizes.get("memory_used"), "refused": sizes.get("memory_refused")}
    told = {**told, "rss": memory.get("rss"), **_part(sample.status, "memory")}
    return {name: int(value or 0) for name, value in told.items()}


def _part(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = answer.get(name)
    return found if isinstance(found, Mapping) else {}


def _severity(seen: Seen, share: float, refused: int, ever: int) -> Severity | None:
    by_refusals: Severity | None = "crit" if refused > 0 else "info" if ever else None
    found = [one for one in (seen.limits["limit"].judge(share), by_refusals) if one]
    return max(found, key=lambda one: SEVERITIES[one], default=None)


def _finding(seen: Seen, severity: Severity, now: Mapping[str, int], refused: int) -> Finding:
    resident, budget, machine = now["rss"], now["budget"], now.get("machine", 0)
    wanted = _wanted(max(budget, resident), machine)
    return Finding(
        severity,
        f"the Queen server uses {megabytes(resident):.0f} MB of its budget of {megabytes(budget):.0f} MB"
        + (f", and refused {now['refused']} requests for it" if now["refused"] else ""),
        {
            "resident_MB": megabytes(resident),
            "resident_peak_MB": megabytes(now["rssPeak"]) if "rssPeak" in now else None,
            "budget_MB": megabytes(budget),
            "share": round(resident / budget, 3),
            "counted_MB": megabytes(now["used"]),
            "machine_MB": megabytes(machine) if machine else None,
            "refused_in_window": refused,
            "refused_since_start": now["refused"],
            "server": seen.server.url if seen.server else None,
        },
        (f"Give it more: QUEEN_MAX_MEMORY={wanted}, or queen serve --max-memory {wanted}. " if wanted else "")
        + f"{'Without' if wanted else 'The machine has no'} more memory: smaller bodies, fewer of them at once, and "
        "consumers that read their answers.",
        object="queen serve",
        threshold=seen.limits["limit"],
        fix=_fix(wanted),
    )


def _fix(wanted: str) -> Fix | None:
    if not wanted:
        return None
    return Fix("E", (f"queen serve --max-memory {wanted}",), note=f"The same: QUEEN_MAX_MEMORY={wanted} queen serve.")


def _wanted(size: int, machine: int) -> str:
    """Twice as much, as a round size that a person would write; empty when that is more than half of the machine."""
    wanted = 256 * _MIB
    while wanted < 2 * size:
        wanted *= 2
    if machine and wanted > machine // 2:
        return ""
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
