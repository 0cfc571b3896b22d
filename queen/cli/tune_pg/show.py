"""The output of `queen tune-pg` in each of its forms, and what `--explain` tells of one setting. Builds texts only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from queen import __version__
from queen.cli.tune_pg.asked import Format
from queen.tune import conf, forms, served
from queen.tune.known import check_name
from queen.tune.lines import Line, Plan

if TYPE_CHECKING:
    from queen.tune.server import ServerSight


def text_of(plan: Plan, form: Format, schema: str, sight: ServerSight | None, remarks: list[str]) -> str:
    """The whole output, with its last line end."""
    so = already(plan, sight)
    if form is Format.json:
        return json.dumps(forms.document(plan, so=so), indent=2, ensure_ascii=False) + "\n"
    if form is Format.parameter_group:
        return json.dumps(forms.parameter_group(plan), indent=2, ensure_ascii=False) + "\n"
    title, role = _title(plan, remarks), None
    if sight is not None:
        plan, role = served.open_part(plan, sight.tables, sight.role_settings), sight.role
    if form is Format.alter_system:
        head = "".join(f"-- {line}".rstrip() + "\n" for line in title)
        return head + forms.alter_system(plan, schema, role)
    return conf.conf(plan, title, so=so, after=_owner(plan, schema, role))


def baseline_text() -> str:
    """`postgresql.conf.example`."""
    from queen.tune.baseline import baseline

    title = [
        "PostgreSQL for Queen: the baseline for one dedicated machine with 4 GB of memory or more and an SSD.",
        f"{conf.HEAD} restart PostgreSQL.",
    ]
    return conf.conf(baseline(), title)


def already(plan: Plan, sight: ServerSight | None) -> frozenset[str]:
    """Settings that the server runs with as the plan has them."""
    if sight is None:
        return frozenset()
    return frozenset(line.name for line in plan.lines if served.is_so(line.name, line.value, sight.settings))


def explanation(plan: Plan, name: str, sight: ServerSight | None) -> str:
    """All that is known of one setting. Raises TuneInputError for a name that is none of ours."""
    for line in plan.lines:
        if line.name == name:
            return _explained(line, sight)
    told = [
        f"{line.setting} = {line.value} for the role\n  why      {line.reason}"
        for line in plan.roles
        if line.setting == name
    ]
    told += _table_parts(plan, name)
    told += [f"{note.name}: {note.text}" for note in plan.notes if name in note.name.split(", ")]
    if not told:
        check_name(name)
        told = [f"{name} is left as it is on PostgreSQL {plan.inputs.pg_version}"]
    return "\n".join(told)


def _explained(line: Line, sight: ServerSight | None) -> str:
    lines = [f"{line.name} = {line.value}", f"  why      {line.reason}", f"  how      {line.formula or 'fixed'}"]
    lines.append(f"  effect   after a {line.needs}")
    now = sight.settings.get(line.name) if sight is not None else None
    if now is not None:
        place = f" in {now.sourcefile}" if now.sourcefile else ""
        lines.append(f"  now      {served.shown(now)} ({now.source}{place})")
    return "\n".join(lines)


def _table_parts(plan: Plan, name: str) -> list[str]:
    return [
        f"{line.parameter} = {line.value} on {line.table}\n  why      {line.reason}"
        for line in plan.tables
        if line.parameter == name
    ]


def _title(plan: Plan, remarks: list[str]) -> list[str]:
    inputs = plan.inputs
    lines = [
        f"PostgreSQL {inputs.pg_version} for Queen, computed by queen tune-pg {__version__}. Nothing was changed.",
        f"{conf.HEAD} reload PostgreSQL;",
        "what is marked restart takes effect after a restart.",
        "",
        "From",
        *conf.input_lines(inputs),
    ]
    if remarks:
        lines += ["", "Beware", *(part for remark in remarks for part in conf.wrapped(remark, "  "))]
    if plan.notes:
        lines += ["", "Not set here", *conf.note_lines(plan)]
    return lines


def _owner(plan: Plan, schema: str, role: str | None) -> list[str]:
    """Statements at the end of a file, as comments: they are no settings of the server."""
    statements = forms.owner_statements(plan, schema, role)
    if not statements:
        return ["Queen's tables and its role are as the plan has them."]
    lines = ["Tables and role, for the owner of Queen's schema: psql takes these lines without their #.", *statements]
    if role is None:
        lines.append("The role is not known; of the one that Queen connects with:")
        lines += [f"  {line.setting} = '{line.value}'  {line.reason}" for line in plan.roles]
    return lines
