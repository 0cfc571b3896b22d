"""The options of `queen doctor`, and what they come to: one value that the parts of the command read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from queen.cli.doctor.screen import Color
from queen.cli.panels import PanelCommand
from queen.doctor.window import WINDOW_S
from queen.errors import SettingsError
from queen.units import parse_duration_ms

WATCH_DEFAULT: Final = "10s"
WINDOW_MAX_S: Final = 3600.0
_WINDOW_MIN_S: Final = 0.1
_TIMEOUT_BESIDE_WINDOW_S: Final = 60.0
_UNKNOWN: Final = 3

_LOOK, _JUDGE, _SHOW, _REPAIR = "What to look at", "What counts", "Output", "Repair"


class FailOn(StrEnum):
    """The least severity that ends in exit code 1."""

    info = "info"
    warn = "warn"
    crit = "crit"


class Allow(StrEnum):
    """What a repair may need."""

    reload = "reload"
    restart = "restart"


def _option(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False, **more)


IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Checks, letters or groups, as with --only.", show_default=False),
]
OnlyOption = Annotated[
    str | None, _option("--only", metavar="ID,…", panel=_LOOK, help="Checks to run: ids, letters or groups.")
]
SkipOption = Annotated[str | None, _option("--skip", metavar="ID,…", panel=_LOOK, help="Checks to leave out.")]
WindowOption = Annotated[
    str | None, _option("--window", metavar="TIME", panel=_LOOK, help="Time between the two samples. Default: 30s.")
]
DeepOption = Annotated[bool, _option("--deep", panel=_LOOK, help="Also what reads whole tables or indexes.")]
UrlOption = Annotated[
    str | None,
    _option(
        "--url", metavar="URL", panel=_LOOK, help="A Queen server. Default: the configured address, if one answers."
    ),
]
PoolerOption = Annotated[
    str | None,
    _option("--pooler-admin", metavar="URL", panel=_LOOK, help="Admin console of PgBouncer, …/pgbouncer."),
]
TimeoutOption = Annotated[
    str | None,
    _option("--timeout", metavar="TIME", panel=_LOOK, help="Give up after this time. Default: the window and 60s."),
]
ThresholdOption = Annotated[
    list[str] | None,
    _option("--threshold", metavar="ID.NAME=WARN,CRIT", panel=_JUDGE, help="Another threshold; may be repeated."),
]
FailOnOption = Annotated[
    FailOn | None, _option("--fail-on", panel=_JUDGE, help="Exit code 1 from this severity on. Default: warn.")
]
BaselineOption = Annotated[
    Path | None, _option("--baseline", metavar="FILE", panel=_JUDGE, help="Report only what is not in this file.")
]
SaveBaselineOption = Annotated[
    Path | None,
    _option("--save-baseline", metavar="FILE", panel=_JUDGE, help="Accept everything found now, in this file."),
]
JsonOption = Annotated[bool, _option("--json", panel=_SHOW, help="Print one JSON object.")]
NagiosOption = Annotated[
    bool, _option("--nagios", panel=_SHOW, help="One line for monitoring; exit code 0, 1, 2 or 3 as it expects.")
]
VerboseOption = Annotated[bool, _option("--verbose", "-v", panel=_SHOW, help="Every check and every figure.")]
QuietOption = Annotated[bool, _option("--quiet", "-q", panel=_SHOW, help="Print nothing but errors.")]
ColorOption = Annotated[
    Color, _option("--color", panel=_SHOW, help="When to colour; auto: on a terminal, unless NO_COLOR is set.")
]
WatchOption = Annotated[
    str | None,
    _option("--watch", metavar="[TIME]", panel=_SHOW, help="Again and again, this long apart (10s), until Ctrl-C."),
]
ListOption = Annotated[bool, _option("--list", panel=_SHOW, help="Print the catalogue of checks and end.")]
ExplainOption = Annotated[
    str | None, _option("--explain", metavar="ID", panel=_SHOW, help="All about one check, with its SQL, and end.")
]
FixOption = Annotated[
    bool, _option("--fix", panel=_REPAIR, help="Repair what was found, or of it only the IDs named; class A by itself.")
]
AllowOption = Annotated[
    list[Allow] | None,
    _option(
        "--allow",
        metavar="reload|restart",
        panel=_REPAIR,
        help="Also repairs that need this; a restart is left to you.",
    ),
]
YesOption = Annotated[
    bool, _option("--yes", panel=_REPAIR, help="Consent to what cannot be taken back, for the IDs named.")
]
DryRunOption = Annotated[bool, _option("--dry-run", panel=_REPAIR, help="Show the plan and change nothing.")]
UndoOption = Annotated[
    Path | None, _option("--undo", metavar="FILE", panel=_REPAIR, help="Take back what an earlier --fix did.")
]


class DoctorCommand(PanelCommand):
    """`--watch` may stand without a time."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default behind a bare `--watch`."""
        filled: list[str] = []
        for word, after in zip(args, [*args[1:], ""], strict=True):
            filled.append(word)
            if word == "--watch" and not after[:1].isdigit():
                filled.append(WATCH_DEFAULT)
        try:
            return list(super().parse_args(ctx, filled))
        except typer.TyperException as error:
            if "--nagios" not in args:
                raise
            _tell_monitoring(error.format_message())
            raise typer.Exit(_UNKNOWN) from error


def _tell_monitoring(text: str) -> None:
    """To a monitoring system exit code 2 would be a critical state of the database: wrong usage is unknown."""
    from queen.cli import console
    from queen.cli.doctor.nagios import head

    console.put(head(_UNKNOWN, text))


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for, times in seconds."""

    only: tuple[str, ...]
    skip: tuple[str, ...]
    window_s: float
    timeout_s: float
    deep: bool
    url: str | None
    pooler_admin: str | None
    thresholds: tuple[str, ...]
    fail_on: FailOn
    baseline: Path | None
    save_baseline: Path | None
    as_json: bool
    nagios: bool
    verbose: bool
    quiet: bool
    color: Color
    watch_s: float | None
    ids: tuple[str, ...]
    fix: bool
    allow: tuple[Allow, ...]
    yes: bool
    dry_run: bool
    undo: Path | None


def split(text: str | None) -> tuple[str, ...]:
    """`V,C1` as its parts."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def named(option: str, words: Sequence[str]) -> tuple[str, ...]:
    """The checks that these words name. Raises SettingsError when they were given and name none: an empty variable of a
    script must not come to all of them."""
    found = tuple(part for word in words for part in split(word))
    if words and not found:
        raise SettingsError(f"{option} names no check", hint="queen doctor --list names them")
    return found


def seconds(option: str, text: str, least: float, most: float) -> float:
    """A duration; a bare number counts seconds. Raises SettingsError."""
    try:
        value = parse_duration_ms(text, plain_unit="s") / 1000
    except ValueError as error:
        raise SettingsError(f"{option} {text!r} is {error}") from error
    if not least <= value <= most:
        raise SettingsError(f"{option} must be from {least:g}s to {most:g}s, not {text}")
    return value


def window(text: str | None, watch_s: float | None) -> float:
    """Seconds of --window; as it comes, not longer than the time from one watched run to the next."""
    if text is None:
        return min(WINDOW_S, watch_s or WINDOW_S)
    return seconds("--window", text, _WINDOW_MIN_S, WINDOW_MAX_S)


def timeout(text: str | None, window_s: float) -> float:
    """Seconds of --timeout, more than the window."""
    if text is None:
        return window_s + _TIMEOUT_BESIDE_WINDOW_S
    value = seconds("--timeout", text, 1.0, 2 * WINDOW_MAX_S)
    if value <= window_s:
        raise SettingsError(f"--timeout {text} is not longer than the window of {window_s:g}s")
    return value


def refuse_together(wish: Wish) -> None:
    """Raise SettingsError for options that contradict each other."""
    given: Mapping[str, bool] = {
        "--json": wish.as_json,
        "--nagios": wish.nagios,
        "--watch": wish.watch_s is not None,
        "--fix": wish.fix,
        "--undo": wish.undo is not None,
        "--quiet": wish.quiet,
        "--verbose": wish.verbose,
    }
    for one, others in _APART.items():
        for other in others:
            if given[one] and given[other]:
                raise SettingsError(f"{one} and {other} do not go together")
    for name, used in (("--allow", wish.allow), ("--yes", wish.yes), ("--dry-run", wish.dry_run)):
        if used and not wish.fix and wish.undo is None:
            raise SettingsError(f"{name} needs --fix")


_APART: Final[Mapping[str, Sequence[str]]] = {
    "--nagios": ("--json", "--watch", "--fix", "--undo", "--quiet", "--verbose"),
    "--watch": ("--fix", "--undo", "--quiet"),
    "--fix": ("--undo",),
    "--quiet": ("--verbose", "--json"),
}
