"""Help pages of commands with many options: the options stand in groups, each under its own head.

`typer.Option(rich_help_panel="Input")` names the group. Typer draws such groups only in its Rich help pages, which are
slow to load and not used here. Use it as `app.command(cls=PanelCommand)(function)`. Knows no command.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

_REST = "Options"


class PanelCommand(TyperCommand):
    """A command whose help page groups the options. Groups stand in the order in which the options first name them;
    what names none, `--help` for one, comes last under "Options"."""

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


def _panel(parameter: Any) -> str:
    name = getattr(parameter, "rich_help_panel", None)
    return name if isinstance(name, str) else _REST
