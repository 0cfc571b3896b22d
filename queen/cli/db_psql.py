"""Runs psql on a database: finds the program, and hands it the address without showing the password to others."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from queen.errors import EmbeddedError
from queen.settings.places import environment_without, search_path
from queen.store.connect import split_password


def run_psql(dsn: str, bin_dir: Path | None, arguments: Sequence[str]) -> int:
    """psql's exit code. Ctrl-C is psql's while it runs. Raises EmbeddedError when there is no psql."""
    address, password = split_password(dsn)
    # What the user's PG… variables say must not outvote the address; a password would be seen in the argument list.
    environment = environment_without("PG")
    if password is not None:
        environment["PGPASSWORD"] = password
    command = [_find_psql(bin_dir), "--dbname", address, *arguments]
    # A handler, unlike SIG_IGN, is not inherited: Ctrl-C cancels psql's query and does not end us.
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.Popen(command, env=environment).wait()
    except OSError as error:
        raise EmbeddedError(f"{command[0]} cannot be run: {error.strerror or error}") from error
    finally:
        signal.signal(signal.SIGINT, previous)


def _find_psql(bin_dir: Path | None) -> str:
    if bin_dir is not None and (bin_dir / "psql").is_file():
        return str(bin_dir / "psql")
    found = shutil.which("psql", path=search_path())
    if found is None:
        raise EmbeddedError(
            "there is no psql on this machine", hint="install it (Debian, Ubuntu: apt install postgresql-client)"
        )
    return found
