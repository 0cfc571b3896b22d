"""The server that a plan is compared with or applied to: the configured one, or the private one, started if need be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from queen.settings import Settings, database_configured, direct_dsn

if TYPE_CHECKING:
    from queen.store.operate import Operator
    from queen.tune.flow.journal import Shelf

APPLICATION = "queen-tune-pg"


@dataclass(frozen=True, slots=True)
class Target:
    """A server to work on. `home`: of a private cluster. `started`: it runs only as long as this command."""

    dsn: str
    home: Path | None = None
    started: bool = False

    def shelf(self, operator: Operator) -> Shelf:
        """Where its journals are. Raises TuneRefused."""
        from queen.sql import catalog
        from queen.tune.flow.shelves import private_shelf, shelf_of

        if self.home is not None:
            return private_shelf(self.home)
        return shelf_of(operator.rows(catalog("flow_server"))[0]["system_identifier"])


@contextmanager
def target(settings: Settings) -> Iterator[Target]:
    """The server of these settings. Raises EmbeddedError when the private one cannot be started."""
    if database_configured(settings):
        yield Target(direct_dsn(settings))
        return
    from queen.embedded.cluster import Cluster
    from queen.embedded.look import look
    from queen.errors import EmbeddedError

    if look(settings.embedded) is None:
        raise EmbeddedError(
            "no private PostgreSQL was started here yet", hint="queen serve starts one; or name yours: --database-url"
        )
    with Cluster.open(settings.embedded, holder="tune-pg") as cluster:
        yield Target(cluster.dsn, cluster.home.path, cluster.owned)


def shelf_without_server(settings: Settings) -> Shelf:
    """The journals of a server that does not answer. Raises TuneInputError when it cannot be told which they are."""
    from queen.embedded.look import look
    from queen.errors import TuneInputError
    from queen.tune.flow.shelves import private_shelf, shelves

    if not database_configured(settings):
        sight = look(settings.embedded)
        if sight is None:
            raise TuneInputError("no private PostgreSQL was ever started here")
        return private_shelf(sight.home.path)
    found = [shelf for shelf in shelves() if any(journal.state != "undone" for journal in shelf.all())]
    if len(found) != 1:
        raise TuneInputError(
            f"the server does not answer, and {len(found) or 'no'} servers have journals here that are not undone",
            hint="start it, and run this again",
        )
    return found[0]
