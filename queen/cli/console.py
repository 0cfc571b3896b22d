"""What every command says and how it ends: results to standard output, all else to standard error, one exit code table.

Knows no command. `report` turns an error into the line and the code that the user sees; a traceback never reaches the
terminal unless `--debug` asks for it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

from queen import errors

if TYPE_CHECKING:
    from rich.console import Console

DONE: Final = 0
FOUND: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
REFUSED: Final = 4
BUG: Final = 70
INTERRUPTED: Final = 130
TERMINATED: Final = 143

EXIT_CODES_HELP: Final = (
    "Exit codes: 0 done; 1 ran and found something; 2 wrong usage or settings; 3 server or database not reached; "
    "4 refused for safety; 70 a bug of Queen; 130 and 143 interrupted."
)

_CODES: Final[tuple[tuple[type[errors.QueenError], int], ...]] = (
    (errors.SettingsError, USAGE),
    (errors.TuneInputError, USAGE),
    (errors.SchemaMismatch, REFUSED),
    (errors.TuneRefused, REFUSED),
    (errors.ConsentNeeded, REFUSED),
    (errors.ResultFileError, USAGE),
    (errors.DoctorFileError, USAGE),
    (errors.RepairRefused, REFUSED),
    (errors.ResultsDiffer, REFUSED),
    (errors.ComparisonRefused, REFUSED),
    (errors.ResumeRefused, REFUSED),
    (errors.StoreUnavailable, UNREACHABLE),
    (errors.ServerUnreachable, UNREACHABLE),
    (errors.Overloaded, UNREACHABLE),
    (errors.AccessDenied, UNREACHABLE),
    (errors.EmbeddedError, UNREACHABLE),
    (errors.PortInUse, UNREACHABLE),
)
"""The first class that fits decides; any other error of ours is 1: the command ran and something was wrong."""

_debug = False


def set_debug(on: bool) -> None:
    """Print tracebacks to standard error from now on."""
    global _debug
    _debug = on


def exit_code(error: errors.QueenError) -> int:
    """The exit code of a command that ends with this error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FOUND)


def report(error: errors.QueenError) -> int:
    """Say what went wrong and what to do about it; returns the exit code."""
    if _debug:
        traceback.print_exception(error)
    code = exit_code(error)
    say_failure(error.message, code, hint=error.hint)
    return code


def report_bug(error: BaseException) -> int:
    """Say that this is a bug of Queen and where its traceback is; returns the exit code."""
    if _debug:
        traceback.print_exception(error)
    summary = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    place = keep_trace("".join(traceback.format_exception(error)))
    say_failure(f"unexpected error: {summary}", BUG, hint=f"this is a bug of Queen; please report it with {place}")
    return BUG


def fail(message: str, code: int, *, hint: str | None = None) -> NoReturn:
    """End the command with this message and exit code."""
    say_failure(message, code, hint=hint)
    raise typer.Exit(code)


def say_failure(message: str, code: int, *, hint: str | None = None) -> None:
    """`queen: message (exit N)` and, below it, further lines of the message and `hint: …`."""
    first, newline, rest = message.partition("\n")
    say(f"queen: {first} (exit {code}){newline}{rest}")
    if hint:
        say(f"hint: {hint}")


def say(line: str) -> None:
    """One line to standard error; lost without a fuss when nobody listens there."""
    try:
        print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass


def put(line: str) -> None:
    """One line of the result, to standard output."""
    print(line)


def put_json(data: Any) -> None:
    """The result as one JSON object, to standard output."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def rich_console(*, stderr: bool = False) -> Console:
    """A Rich console for tables and progress. Honours NO_COLOR; imported on first use, since it is slow to load."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def close_output() -> None:
    """Flush standard output; a reader that left early, as `head` does, is no error."""
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        discard_output()


def discard_output() -> None:
    """Point standard output at nothing, so that the interpreter's last flush cannot fail."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def keep_trace(text: str) -> str:
    """Write the trace of a bug to a file of its own; the words to name it with."""
    import tempfile  # seldom needed, and slow to load

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="queen-error-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(text)
    except OSError:
        return "the output of queen --debug (no file could be written)"
    return file.name
