"""Options that the commands which talk to a running server share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from queen.units import parse_bytes, parse_duration_ms, parse_rate

_Value = TypeVar("_Value")

URL_DEFAULT = "http://127.0.0.1:6632"


def _read(parse: Callable[[str], _Value]) -> Callable[[str | _Value], _Value]:
    """A parser for typer: the ValueError of `parse` becomes wrong usage. Typer passes defaults through it, too."""

    def read(value: str | _Value) -> _Value:
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return read


def _milliseconds(text: str) -> int:
    return parse_duration_ms(text, plain_unit="s")


def duration(flag: str, help_text: str) -> typer.models.OptionInfo:
    """An option whose value is a duration, in milliseconds; a bare number counts seconds."""
    return option(flag, "TIME", help_text, _milliseconds)


def rate(flag: str, help_text: str) -> typer.models.OptionInfo:
    """An option whose value is a rate a second."""
    return option(flag, "RATE", help_text, parse_rate)


def size(flag: str, help_text: str) -> typer.models.OptionInfo:
    """An option whose value is a number of bytes."""
    return option(flag, "SIZE", help_text, parse_bytes)


def option(flag: str, metavar: str, help_text: str, parse: Callable[[str], object]) -> typer.models.OptionInfo:
    """An option whose text `parse` reads; its ValueError becomes wrong usage."""
    info: typer.models.OptionInfo = typer.Option(
        flag, metavar=metavar, help=help_text, parser=_read(parse), show_default=False
    )
    return info


UrlOption = Annotated[str, typer.Option("--url", envvar="QUEEN_URL", metavar="URL", help="The server.")]
QueueOption = Annotated[str, typer.Option("--queue", metavar="NAME", help="The queue.")]
CountOption = Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after N messages.")]
DurationOption = Annotated[int | None, duration("--duration", "End after this time, such as 30s or 5m.")]
ProgressOption = Annotated[
    int | None,
    duration(
        "--progress", "Print a progress line this often. Default: one redrawn line on a terminal, else every 10s."
    ),
]
RetryForOption = Annotated[
    int, duration("--retry-for", "Repeat a request this long while the server is away or asks to wait. Default: 30s.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary; errors only.")]
