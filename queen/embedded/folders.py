"""Where a private PostgreSQL keeps its things, and how those folders are made.

    BASE/pg/15/             one home for each major version, mode 0700, of the user PostgreSQL runs as
    BASE/pg/15/data/        PostgreSQL's own data directory
    BASE/pg/15/log/         its log files, a week of them
    BASE/pg/15/start.log    what the server said before it could write its log
    BASE/pg/15/queen.lock   locked by the process that owns the server (state.py)
    BASE/pg/15/queen.json   how others find the server (state.py)

Only folders that this module makes get an owner and a mode. The socket lies elsewhere (sockets.py).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from queen.embedded.account import Account, first_unreachable
from queen.errors import EmbeddedError
from queen.settings.places import data_home

_ROOT_BASE = Path("/var/lib/queen")
_OTHER_FOLDER = "choose another folder with --data-dir, or use your own database with --database-url"


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one cluster."""

    path: Path
    major: int

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def start_log(self) -> Path:
        return self.path / "start.log"

    @property
    def lock(self) -> Path:
        return self.path / "queen.lock"

    @property
    def state(self) -> Path:
        return self.path / "queen.json"

    @property
    def has_data(self) -> bool:
        """Whether a complete data directory is there: it gets its name only when initdb is done."""
        return (self.data / "PG_VERSION").is_file()


def base_folder(data_dir: str | None) -> Path:
    """The folder under which all clusters lie: the setting, else the platform's place."""
    if data_dir is not None:
        return Path(data_dir).expanduser().resolve()
    if os.geteuid() == 0:
        return _ROOT_BASE
    folder = data_home()
    if folder is None:
        raise EmbeddedError("this user has no home folder to keep data in", hint=_OTHER_FOLDER)
    return (folder / "queen").resolve()


def home_of(base: Path, major: int) -> Home:
    """The home for one major version; it need not exist."""
    return Home(base / "pg" / str(major), major)


def existing_homes(base: Path) -> list[Home]:
    """The homes under `base` that hold data, newest version first."""
    with told_plainly(base):
        names = [entry.name for entry in (base / "pg").iterdir()] if (base / "pg").is_dir() else []
        homes = [home_of(base, int(name)) for name in names if name.isdecimal()]
        return sorted((home for home in homes if home.has_data), key=lambda home: home.major, reverse=True)


def owner_of(home: Home) -> int | None:
    """The user id that the data belongs to, or the home that waits for data; None when neither decides."""
    for path in (home.data, home.path):
        with told_plainly(path), suppress(FileNotFoundError):
            uid = path.stat().st_uid
            # A home of root's is one that was not handed over before a crash.
            return uid if uid != 0 or path == home.data else None
    return None


def make_home(home: Home, account: Account) -> None:
    """Makes the folders that are missing. Raises EmbeddedError when they cannot be made, or not be reached."""
    refuse_unreachable(home.path.parent, account)
    with told_plainly(home.path):
        for folder in reversed([home.path, *home.path.parents]):
            if not folder.exists():
                _make_folder(folder, 0o755 if account.switch else 0o700)
        _hand_over(home.path, account)
        if not home.log.exists():
            _make_folder(home.log, 0o700)
            _hand_over(home.log, account)
    if not os.access(home.path, os.W_OK | os.X_OK):
        raise EmbeddedError(f"no permission to write in {home.path}", hint=_OTHER_FOLDER)


def refuse_unreachable(folder: Path, account: Account) -> None:
    """Raises EmbeddedError naming the folder that keeps the account out. Nobody's modes are changed to let it in."""
    closed = first_unreachable(folder, account)
    if closed is None:
        return
    hint = f"choose another folder with --data-dir, or let that user through: chmod o+x {closed}"
    if account.switch:
        hint += "; or name another user in embedded.user"
    raise EmbeddedError(f"user {account.name}, whom PostgreSQL runs as, cannot enter {closed}", hint=hint)


def _make_folder(folder: Path, mode: int) -> None:
    with suppress(FileExistsError):  # another process may be doing the same
        folder.mkdir()
        # mkdir's own mode is cut by the umask, which would shut out the user PostgreSQL runs as.
        folder.chmod(mode)


def _hand_over(folder: Path, account: Account) -> None:
    """Gives a folder that is still root's to the account, and closes it to everybody else."""
    status = folder.lstat()
    if account.switch and status.st_uid != account.uid:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    if status.st_mode & 0o077:
        folder.chmod(0o700)


def write_file(path: Path, text: str, account: Account) -> None:
    """Puts a whole file in place at once, owned by the account. A link planted there is replaced, not followed."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if account.switch:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Turns what the operating system says about files into an EmbeddedError."""
    try:
        yield
    except OSError as error:
        raise EmbeddedError(_describe(error, path), hint=_OTHER_FOLDER) from error


def _describe(error: OSError, path: Path) -> str:
    place = error.filename or path
    if isinstance(error, PermissionError):
        return f"no permission to use {place}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {place} cannot be written"
    if error.errno == errno.EROFS:
        return f"{place} lies on a read-only file system"
    return f"{place} cannot be used: {error.strerror or error}"
