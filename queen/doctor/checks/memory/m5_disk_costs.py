"""M5: a planner that believes in turning disks where there are none."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor import needs
from queen.doctor.check import Check, NotSeen, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.probes.disk import Disk
from queen.doctor.shared import ROLE_SETTINGS
from queen.doctor.system import grant_monitor, role_settings, set_role, set_system


def evaluate(seen: Seen) -> Iterable[Finding]:
    """Costs of a turning disk, and no read-ahead, on one that does not turn."""
    disk = seen.host.data_disk if seen.host else None
    if "data_directory" not in seen.facts.settings:
        raise NotSeen("this role may not know the data directory", grant_monitor(seen.facts))
    if disk is None or disk.rotational is None:
        raise NotSeen("the kernel does not say what kind of disk the data is on", "run it as a user who may look there")
    if not disk.rotational:
        yield from _cost(seen, disk)
        yield from _read_ahead(seen, disk)
    if seen.facts.settings.text("io_method") == "sync":
        yield Finding(
            "info",
            "io_method is sync: reads wait for one another",
            {"io_method": "sync"},
            "Leave io_method at worker, the default.",
            object="io_method",
            fix=set_system(seen.facts, {"io_method": "worker"}),
        )


def _cost(seen: Seen, disk: Disk) -> Iterable[Finding]:
    cost = seen.facts.settings.number("random_page_cost", 4)
    severity = seen.limits["limit"].judge(cost)
    if severity is not None:
        yield Finding(
            severity,
            f"random_page_cost is {cost:g}, that of a turning disk",
            {"random_page_cost": cost, "rotational": disk.rotational, "folder": disk.folder},
            "Set it to 1.1 for the role: an index look-up is hardly dearer than a scan.",
            object="random_page_cost",
            threshold=seen.limits["limit"],
            fix=set_role(seen.facts, {"random_page_cost": "1.1"}, role_settings(seen.rows("role"), own=True)),
        )


def _read_ahead(seen: Seen, disk: Disk) -> Iterable[Finding]:
    """Its default is 1 up to 17, and good from 18 on."""
    depth = seen.facts.settings.number("effective_io_concurrency", 1)
    if depth <= 1:
        yield Finding(
            "info",
            f"effective_io_concurrency is {depth:g}: a solid-state disk does many reads at once",
            {"effective_io_concurrency": depth, "rotational": disk.rotational, "folder": disk.folder},
            "Set it to 200 for the role. Queen's hot statements do not prefetch; walks over old messages do.",
            object="effective_io_concurrency",
            fix=set_role(seen.facts, {"effective_io_concurrency": "200"}, role_settings(seen.rows("role"), own=True)),
        )


CHECK = Check(
    id="M5",
    group="memory",
    title="Costs of a turning disk on a solid-state one",
    why="The planner takes a scan of a whole table for cheaper than the index that was made for the statement.",
    false_positive="A solid-state cache in front of turning disks.",
    explain="""\
random_page_cost says how much dearer a page out of order is than the next one. PostgreSQL's 4 is for turning disks. On
solid-state disks 1.1 is right. The values looked at are those that sessions of our role begin with.

Whether a disk turns the kernel says in /sys, for the device below the data directory. Virtual disks often say that they
turn; a disk that says it does not is believed. effective_io_concurrency (up to 17) and io_method (from 18 on) are
mentioned for information.

The fix sets values for our role in this database; sessions take them when they connect anew.""",
    evaluate=evaluate,
    queries={"role": ROLE_SETTINGS},
    thresholds={"limit": Threshold(3.0, None, "random_page_cost")},
    needs=(needs.local,),
)
