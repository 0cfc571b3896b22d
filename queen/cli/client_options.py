"""Options that the commands which talk to a running server share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer

from queen.units import parse_bytes, parse_duration_ms, parse_rate

_Value = TypeVar("_Value")

# The heads under which the help pages list the options.
MESSAGES = "Which messages"
END = "When it ends"
SERVER = "Server"
OUTPUT = "Output"

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


@dataclass(frozen=True, slots=True)
class Span:
    """Two durations in milliseconds, the second not below the first. (Typer would split a tuple into two values.)"""

    low_ms: float
    high_ms: float


def _span(text: str) -> Span:
    low, dots, high = text.partition("..")
    span = Span(_milliseconds(low), _milliseconds(high if dots else low))
    if span.low_ms > span.high_ms:
        raise ValueError("the first time of a range must not be above the second")
    return span


def duration(flag: str, help_text: str, panel: str | None = None) -> typer.models.OptionInfo:
    """An option whose value is a duration, in milliseconds; a bare number counts seconds."""
    return option(flag, "TIME", help_text, _milliseconds, panel)


def duration_range(flag: str, help_text: str, panel: str | None = None) -> typer.models.OptionInfo:
    """An option whose value is a duration or a range of them, "5ms..20ms", as a `Span`."""
    return option(flag, "TIME[..TIME]", help_text, _span, panel)


def rate(flag: str, help_text: str) -> typer.models.OptionInfo:
    """An option whose value is a rate a second."""
    return option(flag, "RATE", help_text, parse_rate)


def size(flag: str, help_text: str) -> typer.models.OptionInfo:
    """An option whose value is a number of bytes."""
    return option(flag, "SIZE", help_text, parse_bytes)


def option(
    flag: str, metavar: str, help_text: str, parse: Callable[[str], object], panel: str | None = None
) -> typer.models.OptionInfo:
    """An option whose text `parse` reads; its ValueError becomes wrong usage."""
    info: typer.models.OptionInfo = typer.Option(
        flag, metavar=metavar, help=help_text, parser=_read(parse), show_default=False, rich_help_panel=panel
    )
    return info


UrlOption = Annotated[
    str, typer.Option("--url", envvar="QUEEN_URL", metavar="URL", help="The server.", rich_help_panel=SERVER)
]
QueueOption = Annotated[str, typer.Option("--queue", metavar="NAME", help="The queue.", rich_help_panel=MESSAGES)]
CountOption = Annotated[
    int | None, typer.Option("--count", metavar="N", min=1, help="End after N messages.", rich_help_panel=END)
]
DurationOption = Annotated[int | None, duration("--duration", "End after this time, such as 30s or 5m.", END)]
ProgressOption = Annotated[
    int | None,
    duration(
        "--progress",
        "Print a progress line this often. Default: one redrawn line on a terminal, else every 10s.",
        OUTPUT,
    ),
]
RetryForOption = Annotated[
    int,
    duration(
        "--retry-for", "Repeat a request this long while the server is away or asks to wait. Default: 30s.", SERVER
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, no summary; errors only.", rich_help_panel=OUTPUT)
]
