"""Where PostgreSQL is: the configured one, Queen's private one, or the programs that would run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from queen.errors import EmbeddedError
from queen.settings import Settings, database_configured, direct_dsn

LOCAL: Final = ("127.0.0.1", 5432, "queen")
"""Host, port and database where nothing is known of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where PostgreSQL is, as far as it can be told."""

    dsn: str | None = None
    here: bool = False
    """It is known to run on this machine, or would: it is the private one."""
    data_dir: Path | None = None
    major: int | None = None
    remark: str = ""


def find_place(settings: Settings) -> Place:
    """The configured database, the private one that runs, or the programs that would run it. Raises nothing."""
    if database_configured(settings):
        return Place(dsn=direct_dsn(settings))
    try:
        return _private(settings)
    except EmbeddedError as error:
        return Place(here=True, remark=f"no PostgreSQL was found on this machine: {error.message.splitlines()[0]}")


def _private(settings: Settings) -> Place:
    from queen.embedded import server
    from queen.embedded.find import find_binaries
    from queen.embedded.folders import base_folder
    from queen.embedded.look import look

    sight = look(settings.embedded)
    if sight is not None and sight.answers and sight.socket_dir is not None:
        return Place(server.dsn(sight.socket_dir), True, sight.home.data, sight.home.major)
    if sight is not None:
        remark = "the private PostgreSQL is not running: it was not asked"
        return Place(None, True, sight.home.data, sight.home.major, remark)
    major = find_binaries(settings.embedded.bin_dir).major
    return Place(None, True, base_folder(settings.embedded.data_dir), major, "no PostgreSQL was started here yet")


def address_of(place: Place) -> tuple[str, int, str]:
    """Host, port and database, for a pooler in between."""
    if place.dsn is None:
        return LOCAL
    from queen.store.connect import address

    return address(place.dsn)
