"""Where the `queen` command begins. Loads nothing itself, so that a doctor steps back before it has taken any time.

`commands` does the rest: it knows the commands, and turns what they raise into a message and an exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn


def run(args: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Raises nothing."""
    from queen.cli.commands import run as run_command

    return run_command(args)


def main() -> NoReturn:
    """Entry point of the console script."""
    args = sys.argv[1:]
    if next((arg for arg in args if not arg.startswith("-")), None) != "doctor":
        sys.exit(run(args))
    from queen.cli.doctor import light

    light.step_back()
    light.leave(run(args))
