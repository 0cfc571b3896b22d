"""The folder of the server's Unix socket: short, private, and the same at each start as long as it can be.

The path of a Unix socket is limited to 107 bytes, so it cannot lie in a deep data directory. Its name follows from
the home's path, so that a server that comes back is found at the same address by those who were connected before.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from queen.embedded.account import Account, first_unreachable
from queen.embedded.folders import Home
from queen.errors import EmbeddedError
from queen.settings.places import runtime_dir

PORT = 5432
"""Only a part of the socket's file name: the server listens on no TCP port."""

_PATH_BYTES_MAX = 107
_NAME = re.compile(r"queen-pg-[0-9a-f]{12}(-[0-9a-f]{8})?")


def socket_file(folder: Path) -> Path:
    """The socket that PostgreSQL makes in the folder."""
    return folder / f".s.PGSQL.{PORT}"


def make_socket_folder(home: Home, account: Account, previous: Path | None) -> Path:
    """An empty folder that only the account (and root) can enter, at `previous` if that can be had.

    Raises EmbeddedError when no place allows one.
    """
    name = "queen-pg-" + hashlib.sha256(os.fsencode(home.path)).hexdigest()[:12]
    for root in _roots(previous):
        # A stranger may have taken the expected name in a shared folder; a random one cannot be foreseen.
        for candidate in (root / name, root / f"{name}-{secrets.token_hex(4)}"):
            if _fits(candidate, account) and _take(candidate, account):
                return candidate
    raise EmbeddedError(
        "there is no folder for PostgreSQL's socket: it must be writable, and its path short",
        hint="set TMPDIR to a folder with a short path that the user PostgreSQL runs as can enter",
    )


def remove_socket_folder(folder: Path, account: Account) -> None:
    """Removes a folder that this module made. Anything else is left alone, whatever a state file may say of it."""
    if _NAME.fullmatch(folder.name) and _is_ours(folder, account):
        shutil.rmtree(folder, ignore_errors=True)


def _roots(previous: Path | None) -> Iterator[Path]:
    if previous is not None and _NAME.fullmatch(previous.name):
        yield previous.parent
    runtime = runtime_dir()
    if runtime is not None:
        yield runtime
    yield Path(tempfile.gettempdir())
    yield Path("/tmp")


def _fits(folder: Path, account: Account) -> bool:
    short = len(os.fsencode(socket_file(folder))) <= _PATH_BYTES_MAX
    return short and first_unreachable(folder.parent, account) is None


def _take(folder: Path, account: Account) -> bool:
    """Makes the folder, or empties it if a dead server of ours left it."""
    try:
        folder.mkdir(mode=0o700)
        if account.switch:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    except FileExistsError:
        return _is_ours(folder, account) and _empty(folder)
    except OSError:
        return False
    return True


def _is_ours(folder: Path, account: Account) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    closed = status.st_mode & 0o077 == 0
    return stat.S_ISDIR(status.st_mode) and status.st_uid == account.uid and closed


def _empty(folder: Path) -> bool:
    # A lock file left beside the socket would stop the server if its process id has been given out again.
    for left in (socket_file(folder), folder / f"{socket_file(folder).name}.lock"):
        with suppress(FileNotFoundError):
            left.unlink()
    return True
