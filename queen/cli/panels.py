"""Commands with many options: their help stands in groups, each under its own head, and reading their options is quick.

`typer.Option(rich_help_panel="Input")` names the group. Typer draws such groups only in its Rich help pages, which are
slow to load and not used here. Use it as `app.command(cls=PanelCommand)(function)`. Knows no command.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from typer._coercion import RuntimeParam, TypeDescriptor, build_runtime_param
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

_REST = "Options"


class PanelCommand(TyperCommand):
    """A command whose help page groups the options. Groups stand in the order in which the options first name them;
    what names none, `--help` for one, comes last under "Options"."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in Typer, only quicker."""
        _hurry(self.get_params(ctx))
        return list(super().parse_args(ctx, args))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the groups; called for the help page."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panels.setdefault(_panel(parameter), []).append(record)
        rest = panels.pop(_REST, [])
        for name, records in [*panels.items(), (_REST, rest)]:
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class QuickGroup(TyperGroup):
    """A command that has commands below it, and reads its own options as quickly."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in Typer, only quicker."""
        _hurry(self.get_params(ctx))
        return list(super().parse_args(ctx, args))


def _hurry(parameters: Iterable[Any]) -> None:
    for parameter in parameters:
        if isinstance(parameter, TyperOption | TyperArgument):  # inner parts of Typer: its version is pinned
            kind = parameter.type_descriptor
            parameter._runtime_param = _AsGiven(kind.parameter_info, kind.annotation, kind)


@dataclass(frozen=True)
class _AsGiven(RuntimeParam):
    """Hands on what needs no conversion, such as text for an option of type text; all else goes Typer's own way.

    That way is pydantic: a tenth of a second of processor time to load it and to make a model for each option.
    """

    descriptor: TypeDescriptor

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        if self.parameter_info.parser is not None or not _fits(value, self.annotation):
            return build_runtime_param(self.descriptor)._coerce_value(value, param=param, ctx=ctx)
        return list(value) if isinstance(value, tuple) else value


def _fits(value: Any, annotation: Any) -> bool:
    """Text outside ASCII may be what the shell gave without being valid: that is Typer's to judge."""
    if annotation == list[str]:
        return all(_fits(item, str) for item in value)
    if annotation is str:
        return type(value) is str and value.isascii()
    return isinstance(value, Enum) and type(value) is annotation


def _panel(parameter: Any) -> str:
    name = getattr(parameter, "rich_help_panel", None)
    return name if isinstance(name, str) else _REST
