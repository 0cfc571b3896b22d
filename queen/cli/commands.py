"""The commands of `queen`: registers them and turns whatever they raise into a message and an exit code.

A command's file is imported when the command is called, or when help has to name them all. And command files import
the server, the database driver and the like inside their functions, so that `queen --help` needs none of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from queen import __version__
from queen.cli import console
from queen.cli.panels import QuickGroup
from queen.errors import QueenError

_PANELS: Final = "queen.cli.panels:PanelCommand"
_COMMANDS: Final[dict[str, tuple[str, str | None]]] = {
    "serve": ("queen.cli.serve:serve", None),
    "produce": ("queen.cli.produce:produce", _PANELS),
    "consume": ("queen.cli.consume:consume", _PANELS),
    "doctor": ("queen.cli.doctor.command:doctor", "queen.cli.doctor.options:DoctorCommand"),
    "bench": ("queen.cli.bench.app:app", None),
    "tune-pg": ("queen.cli.tune_pg.command:tune_pg", _PANELS),
    "db": ("queen.cli.db:app", None),
    "config": ("queen.cli.config:app", None),
    "version": ("queen.cli.version:version", None),
}
"""Where each command is, and the class that draws its help; in the order of the help page."""


def _print_version(wanted: bool) -> None:
    if wanted:
        console.put(f"queen {__version__}")
        raise typer.Exit


def queen(
    debug: Annotated[bool, typer.Option("--debug", help="Print tracebacks of errors.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Queen, a message queue on PostgreSQL. Start with: queen serve"""
    console.set_debug(debug)


def commands(args: Sequence[str] = ()) -> typer.Typer:
    """The command line: with the command alone that `args` call, or with all of them when they call none that is
    known."""
    app = typer.Typer(
        name="queen",
        cls=QuickGroup,
        help="Queen, a message queue on PostgreSQL. Start with: queen serve",
        epilog=console.EXIT_CODES_HELP,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
    )
    app.callback()(queen)
    called = _called(args)
    for name, (place, drawn_by) in _COMMANDS.items():
        if called in (None, name):
            _add(app, name, _load(place), _load(drawn_by) if drawn_by else None)
    return app


def _called(args: Sequence[str]) -> str | None:
    """The command among the arguments: the first word that is no option, since our own options take no value."""
    word = next((arg for arg in args if not arg.startswith("-")), None)
    return word if word in _COMMANDS else None


def _add(app: typer.Typer, name: str, command: Any, drawn_by: Any) -> None:
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name, cls=drawn_by)(command)


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def run(args: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Raises nothing."""
    try:
        code = commands(args)(args=list(args), prog_name="queen", standalone_mode=False)
        console.close_output()
        return code if isinstance(code, int) else console.DONE
    except QueenError as error:
        return console.report(error)
    except typer.TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        console.say("queen: interrupted")
        return console.INTERRUPTED
    except BrokenPipeError:
        console.discard_output()
        return console.DONE
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else console.FOUND
    except BaseException as error:
        return console.report_bug(error)


def _usage(error: typer.TyperException) -> int:
    """Wrong usage: what is wrong, and which help page tells what is right."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "queen"
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        console.say(message)
    else:
        console.say_failure(message, error.exit_code, hint=f"{command} --help")
    return error.exit_code
