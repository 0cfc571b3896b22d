"""M4: large buffers in small pages."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from queen.doctor.check import Check, NotSeen, Seen
from queen.doctor.finding import Finding, Fix, Threshold
from queen.doctor.wal import megabytes

_PAGE_BYTES: Final = 2 << 20
_BESIDE: Final = 1.05  # locks, log buffers and the like, where the version does not tell the whole size


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding, for information, when the buffers are large and huge pages are not used."""
    settings = seen.facts.settings
    size, limit = settings.bytes("shared_buffers"), seen.limits["limit"]
    if limit.judge(size) is None or _used(seen):
        return
    pages = _pages(seen)
    yield Finding(
        "info",
        f"shared_buffers, {megabytes(size):g} MB, lies in pages of 4 kB; {pages} huge pages would hold it",
        {
            "shared_buffers_MB": megabytes(size),
            "huge_pages": settings.text("huge_pages"),
            "pages_needed": pages,
            "pages_there": seen.host.memory.huge_pages if seen.host and seen.host.memory else None,
        },
        f"Reserve {pages} huge pages, keep huge_pages = try, and start PostgreSQL anew.",
        object="huge_pages",
        threshold=limit,
        fix=Fix(
            "E",
            (f"sysctl -w vm.nr_hugepages={pages}", f"echo vm.nr_hugepages={pages} > /etc/sysctl.d/60-postgresql.conf"),
            ("sysctl -w vm.nr_hugepages=0", "rm /etc/sysctl.d/60-postgresql.conf"),
            "Memory reserved so is lost to everything else. PostgreSQL takes it at its next start.",
        ),
    )


def _used(seen: Seen) -> bool:
    """From 17 on PostgreSQL says so. Before: huge pages are allowed, and the machine has enough. Raises NotSeen."""
    settings = seen.facts.settings
    if "huge_pages_status" in settings:
        return settings.on("huge_pages_status")
    if settings.text("huge_pages") == "off":
        return False
    if seen.host is None or seen.host.memory is None:
        raise NotSeen("before 17 only the machine tells, and PostgreSQL is not proven to run on this one")
    memory = seen.host.memory
    return memory.huge_pages * memory.huge_page_bytes >= settings.bytes("shared_buffers")


def _pages(seen: Seen) -> int:
    """From 15 on PostgreSQL says how many; before it is computed."""
    said = int(seen.facts.settings.number("shared_memory_size_in_huge_pages", -1))
    return said if said > 0 else math.ceil(seen.facts.settings.bytes("shared_buffers") * _BESIDE / _PAGE_BYTES)


CHECK = Check(
    id="M4",
    group="memory",
    title="Huge pages for large buffers",
    why="Every session maps the buffers: in small pages a hundred sessions need gigabytes of page tables.",
    false_positive="None known.",
    explain="""\
From 8 GB of shared_buffers on huge pages are worth their trouble: page tables shrink by a factor of 500, and
processors find addresses faster. huge_pages = try, the default, takes them when the system has them reserved;
huge_pages = on would keep PostgreSQL from starting when it has not.

Whether they are used PostgreSQL 17 says in huge_pages_status. Before, the machine's own numbers are looked at. How
many are needed is in shared_memory_size_in_huge_pages from 15 on. This is for information: it is no illness.""",
    evaluate=evaluate,
    thresholds={"limit": Threshold(8 << 30, None, "bytes of shared_buffers")},
)
