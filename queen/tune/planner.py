"""What the planner should think of the disk, and what does not pay for statements as short as Queen's. Pure."""

from __future__ import annotations

from queen.tune.inputs import Inputs
from queen.tune.known import line
from queen.tune.lines import Line, Note

NEW_IO = 18
"""From here on the server reads ahead in another way, with a default that suits all disks."""


def planner_lines(inputs: Inputs) -> list[Line]:
    """Costs, reading ahead, compiling, compression."""
    spinning = inputs.storage == "hdd"
    cost = ("4", "a disk that turns: a random read waits for it") if spinning else ("1.1", _CHEAP)
    entries = [("random_page_cost", *cost, f"1.1, 4 on hdd; this is {inputs.storage}")]
    if inputs.pg_version < NEW_IO:
        ahead = ("2", "a disk that turns reads at one place at a time") if spinning else ("200", _AHEAD)
        entries.append(("effective_io_concurrency", *ahead, f"200, 2 on hdd; this is {inputs.storage}"))
    else:
        processes = min(32, max(3, inputs.cpus // 4))
        reason = "processes that read for all sessions"
        formula = f"{inputs.cpus} processors ÷ 4, from 3 to 32"
        entries.append(("io_workers", str(processes), reason, formula))
    entries.append(("jit", "off", "compiling costs more than these short statements take", "fixed"))
    if inputs.offers("default_toast_compression", "lz4"):
        reason = "payloads above 2 kB are compressed: faster than pglz"
        entries.append(("default_toast_compression", "lz4", reason, "lz4 where the server offers it"))
    return [line(inputs, *entry) for entry in entries]


def planner_notes(inputs: Inputs) -> list[Note]:
    """What was left as it is, and why."""
    notes = []
    if not inputs.enumvals:
        text = "lz4 is better than pglz, but not every build has it, and this one was not asked"
        notes.append(Note("default_toast_compression", f"left as it is: {text}"))
    if inputs.pg_version >= NEW_IO:
        text = "left as they are: the default of 18 suits, and io_uring is to be measured before it is used"
        notes.append(Note("effective_io_concurrency, io_method", text))
    return notes


_CHEAP = "a random read costs about as much as the next page"
_AHEAD = "many reads at once"
