"""By which way a server's settings can be changed: a file of ours beside its own, ALTER SYSTEM, or not from here.

A file needs proof that the server runs on this machine, and the right to write beside its configuration. ALTER SYSTEM
needs the privilege. Both need the right to read `pg_file_settings` (nothing is loaded unseen) and to reload.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from queen.errors import TuneRefused
from queen.measure.locality import postmaster_here
from queen.sql import catalog
from queen.store.alter import set_system
from queen.tune.flow.conf_file import OUR_FILE, OUR_FOLDER, includes
from queen.tune.flow.live import Live, Session
from queen.tune.flow.wanted import Wanted

WAYS: Final = ("auto", "file", "alter-system")


@dataclass(frozen=True, slots=True)
class Way:
    """How the server's own settings will be changed. `main` is set when postgresql.conf must learn of our file."""

    kind: Literal["file", "alter-system"]
    file: Path | None = None
    like: Path | None = None
    """The server's own configuration: a new file gets its owner and mode, so that the server can read it."""
    main: Path | None = None
    folder: Path | None = None
    """A folder that has to be made for the file."""

    @property
    def words(self) -> str:
        """For people."""
        return f"file {self.file}" if self.kind == "file" else "ALTER SYSTEM"


def choose(session: Session, host: str, live: Live, wishes: Sequence[Wanted], asked: str = "auto") -> Way:
    """The way for these changes of the server. Raises TuneRefused, with what to do elsewhere, when there is none."""
    reasons = []
    if not live.facts["may_see_files"] or not live.facts["may_reload"]:
        reasons.append("this role may not read pg_file_settings, or not reload the server")
    if not reasons and asked in ("auto", "file"):
        way = file_way(host, live)
        if isinstance(way, Way):
            return way
        reasons.append(way)
    if live.facts["may_reload"] and live.facts["may_see_files"] and asked in ("auto", "alter-system"):
        missing = _not_allowed(session, live, [wish.name for wish in wishes])
        if not missing:
            return Way("alter-system")
        reasons.append(f"this role may not ALTER SYSTEM SET {', '.join(missing)}")
    raise TuneRefused(
        "the server's settings cannot be changed from here: " + "; ".join(reasons), hint=_elsewhere(wishes)
    )


def file_way(host: str, live: Live) -> Way | str:
    """The way by a file, or why there is none."""
    if postmaster_here(host, live.facts["backend_pid"]) is None:
        return "it is not proven that the server runs on this machine"
    if live.facts["config_file"] is None:
        return "this role may not see where the configuration lies"
    main = Path(live.facts["config_file"])
    try:
        way = _target(main.resolve(strict=True))
    except OSError as error:
        return f"{main} cannot be read: {error.strerror}"
    for path in (way.file, way.main):
        if path is not None and not _can_replace(path):
            return f"{path} cannot be written by this user"
    if os.geteuid() not in (0, main.stat().st_uid):
        return f"{main} belongs to another user, and so would what is beside it"
    return way


def _target(main: Path) -> Way:
    """Our file among those that the server reads, else a new one that it has to be told of."""
    last: Path | None = None
    for directive in includes(main.read_text(errors="replace")):
        place = main.parent / directive.target
        if directive.kind == "include_dir" and place.is_dir():
            last = place / OUR_FILE
        elif directive.kind != "include_dir" and place.name == OUR_FILE:
            last = place
    if last is not None:
        return Way("file", last.resolve(), main)
    folder = main.parent / OUR_FOLDER
    return Way("file", folder / OUR_FILE, main, main, None if folder.is_dir() else folder)


def _can_replace(path: Path) -> bool:
    """A file is replaced by renaming another onto it, so its folder must let us."""
    folder = path.parent if path.parent.exists() else path.parent.parent
    return os.access(folder, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.R_OK | os.W_OK))


def _not_allowed(session: Session, live: Live, names: list[str]) -> list[str]:
    """Names that this role may not set for the server. Before 15 only superusers could."""
    if live.facts["superuser"]:
        return []
    if live.facts["version"] < 150_000:
        return names
    rows = session.rows(catalog("flow_may_alter"), {"names": names})
    return [row["name"] for row in rows if not row["allowed"]]


def _elsewhere(wishes: Sequence[Wanted]) -> str:
    """What an administrator, or the console of a managed service, would be given."""
    lines = "\n".join(f"  {set_system(wish.name, wish.value)}" for wish in wishes)
    return (
        "tables and role need no administrator: --only table,role; for the server hand these to who may, or set them "
        f"in the parameter group (--format parameter-group):\n{lines}"
    )
