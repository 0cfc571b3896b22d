"""A plan in other forms than a file: statements, a parameter group of a managed service, one JSON object. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from queen.store import alter
from queen.tune.inputs import Inputs
from queen.tune.known import KNOWN
from queen.tune.lines import Line, Plan
from queen.tune.sizes import number_of

SCHEMA_VERSION = 1


def alter_system(plan: Plan, schema: str, role: str | None) -> str:
    """Statements for psql, with a reason above each; a reload at the end. `role` None: the role is left out."""
    lines = ["-- ALTER SYSTEM needs a superuser, or the right on each parameter (15 and later).", ""]
    for line in plan.lines:
        lines += [f"-- {line.reason}{'; restart needed' if line.needs == 'restart' else ''}"]
        lines += [alter.set_system(line.name, line.value)]
    lines += ["SELECT pg_reload_conf();", "", *owner_statements(plan, schema, role)]
    return "\n".join(lines).rstrip() + "\n"


def owner_statements(plan: Plan, schema: str, role: str | None) -> list[str]:
    """What needs no administrator: parameters of Queen's tables, settings of its role. `messages` is left out: its
    children come and go, and the schema gives them what the plan says."""
    lines = []
    for table, parameters in table_parameters(plan).items():
        if table != "messages":
            lines.append(alter.set_table(schema, table, parameters))
    if role is not None:
        lines += [alter.set_role(role, line.setting, line.value) for line in plan.roles]
    return lines


def table_parameters(plan: Plan) -> dict[str, dict[str, str]]:
    """The storage parameters by table."""
    found: dict[str, dict[str, str]] = {}
    for line in plan.tables:
        found.setdefault(line.table, {})[line.parameter] = line.value
    return found


def parameter_group(plan: Plan) -> list[dict[str, str]]:
    """The list that a parameter group of Amazon RDS takes: numbers in the base unit of each parameter.
    Other services have forms with the same names and numbers."""
    return [
        {
            "ParameterName": line.name,
            "ParameterValue": base_value(line),
            "ApplyMethod": "immediate" if line.needs == "reload" else "pending-reboot",
        }
        for line in plan.lines
    ]


def base_value(line: Line) -> str:
    """The value in the base unit of its setting, without a unit; words as they are."""
    number = number_of(line.value, KNOWN[line.name].unit)
    if number is None:
        return line.value
    return f"{number:.0f}" if KNOWN[line.name].unit is not None else line.value


def document(plan: Plan, *, so: Collection[str] = ()) -> dict[str, Any]:
    """The plan as one JSON object."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "tune-pg",
        "inputs": _inputs(plan.inputs),
        "settings": [
            {
                "name": line.name,
                "value": line.value,
                "group": line.group,
                "reason": line.reason,
                "formula": line.formula,
                "needs": line.needs,
                "is_so": line.name in so,
            }
            for line in plan.lines
        ],
        "tables": [
            {"table": line.table, "parameter": line.parameter, "value": line.value, "reason": line.reason}
            for line in plan.tables
        ],
        "role": [{"name": line.setting, "value": line.value, "reason": line.reason} for line in plan.roles],
        "notes": [{"name": note.name, "text": note.text} for note in plan.notes],
    }


_NAMED = (
    *("memory_bytes", "cpus", "storage", "target_rate", "payload_bytes", "groups", "pool_size", "instances"),
    *("pg_version", "workers_here", "other_connections", "pooled_connections", "wal_space_bytes", "recovery_s"),
    *("wal_rate_observed", "fpi_share", "commit_ms", "clock_source"),
)


def _inputs(inputs: Inputs) -> dict[str, Any]:
    return {name: {"value": getattr(inputs, name), "origin": inputs.origin(name)} for name in _NAMED}
