"""M10: statements of a millisecond that may be compiled first."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor.check import Check, NotSeen, Query, Seen
from queen.doctor.finding import Finding
from queen.doctor.shared import ROLE_SETTINGS
from queen.doctor.system import role_settings, set_role

# Whether it is on in our session, and PostgreSQL was built with it; only where it is on can the other be told.
_JIT = "SELECT pg_jit_available() AS available, current_setting('jit') AS here"


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding when sessions of Queen's servers begin with jit on."""
    settings, row = seen.facts.settings, seen.row("jit")
    if not settings.on("jit") or settings.number("jit_above_cost", 100_000) < 0:
        return
    if not row["available"]:
        if row["here"] == "off":
            role = seen.facts.servers_role
            raise NotSeen("jit is off for the doctor's own role, so nobody can tell", f"run it as role {role}")
        return
    yield Finding(
        "warn",
        "jit is on: a statement that is estimated dear is compiled before it runs",
        {
            "jit": "on",
            "source": settings["jit"].source,
            "jit_above_cost": settings.number("jit_above_cost", 100_000),
        },
        "Turn it off for the role; sessions take that when they connect anew.",
        object="jit",
        fix=set_role(seen.facts, {"jit": "off"}, role_settings(seen.rows("role"), own=True)),
    )


CHECK = Check(
    id="M10",
    group="memory",
    title="Compilation of short statements",
    why="Compiling takes 10 to 200 ms, a pop takes one: a wrong estimate turns every pop into a stall.",
    false_positive="Reports that run as the same role and gain by it.",
    explain="""\
jit is on by default. It compiles a statement whose estimated cost is above jit_above_cost, which pays for reports over
many rows. Queen's statements touch few rows; but when statistics are old or a table has just grown, an estimate can
pass that bound, and then each call compiles anew.

The fix turns it off for our role in this database; reports by other roles keep it.""",
    evaluate=evaluate,
    queries={"jit": Query(_JIT), "role": ROLE_SETTINGS},
)
