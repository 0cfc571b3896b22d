"""M6: settings that were changed and are not in force."""

from __future__ import annotations

from collections.abc import Iterable

from queen.doctor.check import Check, NotSeen, Seen
from queen.doctor.facts import Setting
from queen.doctor.finding import Finding, Fix
from queen.doctor.system import grant_monitor


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each setting that waits for a restart. Raises NotSeen when there is none, and some are hidden
    from the role: shared_preload_libraries is among them."""
    waiting = [(name, setting) for name, setting in sorted(seen.facts.settings.items()) if setting.pending_restart]
    if not waiting and not seen.facts.pg_monitor:
        reason = f"role {seen.facts.role} does not see all settings, and none of the others waits"
        raise NotSeen(reason, grant_monitor(seen.facts))
    return [_finding(name, setting) for name, setting in waiting]


def _finding(name: str, setting: Setting) -> Finding:
    unit = f" × {setting.unit}" if setting.unit and setting.unit[0].isdigit() else setting.unit or ""
    # PostgreSQL marks a line as pending also when an option of its command line will outrank it again.
    fixed = setting.source == "command line"
    return Finding(
        "warn",
        f"{name} was changed and waits for a restart; {setting.value}{unit} is still in force",
        {"in_force": f"{setting.value}{unit}", "source": setting.source, "sourcefile": setting.sourcefile},
        "Take the change back: a restart alone would not help, for the server's command line outranks every file."
        if fixed
        else "Restart PostgreSQL when it suits, or take the change back.",
        object=name,
        fix=None if fixed else Fix("E", ("restart PostgreSQL",), note="Or take the change back where it was made."),
    )


CHECK = Check(
    id="M6",
    group="memory",
    title="Settings that wait for a restart",
    why="What was planned is not what runs; and the next restart, perhaps after a crash, changes more than expected.",
    false_positive="A restart that is planned already; a change taken back where there was only the default before:"
    " PostgreSQL keeps its mark until the next start.",
    explain="""\
Some settings take force only when PostgreSQL starts. After a reload of a changed file pg_settings marks them as
pending_restart. The value in force is shown; what the file says instead M8 shows to a superuser.""",
    evaluate=evaluate,
)
