"""Where the journals of a server are kept: beside a private cluster, else in the user's own data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from queen.errors import TuneRefused
from queen.settings.places import data_home
from queen.tune.flow.journal import Shelf

_NAME: Final = "tune"


def private_shelf(home: Path) -> Shelf:
    """That of a private cluster, in the folder that its data lies in."""
    return Shelf(home / _NAME)


def shelf_of(system_identifier: str) -> Shelf:
    """That of another server, known by the number that its initdb gave it. Raises TuneRefused without a home folder."""
    return Shelf(_base() / system_identifier)


def shelves() -> list[Shelf]:
    """All of them, for a server that cannot be asked who it is."""
    base = _base()
    return [Shelf(path) for path in sorted(base.iterdir()) if path.is_dir()] if base.is_dir() else []


def _base() -> Path:
    folder = data_home()
    if folder is None:
        raise TuneRefused(
            "this user has no home folder to keep the journal of changes in", hint="set XDG_DATA_HOME to a folder"
        )
    return folder / "queen" / _NAME
