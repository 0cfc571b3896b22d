"""The `queen` command: registers the commands and turns whatever they raise into a message and an exit code.

Importing this module is quick: command files import the server, the database driver and the like inside their
functions, so that `queen --help` and shell completion need none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from queen import __version__
from queen.cli import config, console, db
from queen.cli.bench.app import app as bench_app
from queen.cli.consume import consume
from queen.cli.doctor.command import doctor
from queen.cli.doctor.options import DoctorCommand
from queen.cli.panels import PanelCommand
from queen.cli.produce import produce
from queen.cli.serve import serve
from queen.cli.tune_pg.command import tune_pg
from queen.cli.version import version
from queen.errors import QueenError

app = typer.Typer(
    name="queen",
    help="Queen, a message queue on PostgreSQL. Start with: queen serve",
    epilog=console.EXIT_CODES_HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.put(f"queen {__version__}")
        raise typer.Exit


@app.callback()
def queen(
    debug: Annotated[bool, typer.Option("--debug", help="Print tracebacks of errors.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Queen, a message queue on PostgreSQL. Start with: queen serve"""
    console.set_debug(debug)


app.command()(serve)
app.command(cls=PanelCommand)(produce)
app.command(cls=PanelCommand)(consume)
app.command(cls=DoctorCommand)(doctor)
app.add_typer(bench_app, name="bench")
app.command("tune-pg", cls=PanelCommand)(tune_pg)
app.add_typer(db.app, name="db")
app.add_typer(config.app, name="config")
app.command()(version)


def run(args: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Raises nothing."""
    try:
        code = app(args=list(args), prog_name="queen", standalone_mode=False)
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


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


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
