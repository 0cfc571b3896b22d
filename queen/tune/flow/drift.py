"""Whether a server still is what the last apply made it: for `--check` and `--verify`. Looks only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from queen.errors import TuneInputError
from queen.tune.flow.journal import Journal, Shelf
from queen.tune.flow.live import Found, Live, Session, compare, read
from queen.tune.flow.refuse import TAKES_RESTART


@dataclass(frozen=True, slots=True)
class Drift:
    """The saved plan held against the server. `errors`: lines of its files that it could not take."""

    journal: Journal
    found: tuple[Found, ...]
    errors: tuple[str, ...]

    @property
    def drifted(self) -> list[Found]:
        """What is not as it was made."""
        return [entry for entry in self.found if entry.state == "differs"]

    @property
    def pending(self) -> list[Found]:
        """What the server takes at its next start."""
        return [entry for entry in self.found if entry.state == "pending"]

    @property
    def clean(self) -> bool:
        """Whether all is as it was made. What waits for a restart was told when it was applied."""
        return not self.drifted and not self.errors


def check(session: Session, shelf: Shelf) -> Drift:
    """Compare with the newest apply. Raises TuneInputError when there is none, and like `rows`."""
    journal = shelf.latest()
    if journal is None:
        raise TuneInputError(
            "no plan was applied to this server from here, so there is nothing to compare it with",
            hint="queen tune-pg --diff compares it with a new plan; --apply saves one",
        )
    live = read(session, journal.schema, journal.role, [wish.name for wish in journal.wanted])
    # Children of `messages` are dropped with their epoch; the schema gives new ones what the plan says.
    wanted = [wish for wish in journal.wanted if wish.kind != "table" or wish.object in live.tables]
    return Drift(journal, tuple(compare(wanted, live)), tuple(_errors(live)))


def as_dict(found: Found) -> dict[str, Any]:
    """One row for JSON."""
    wish = found.wanted
    return {
        "kind": wish.kind,
        "object": wish.object or None,
        "name": wish.name,
        "wanted": wish.value,
        "now": found.value,
        "source": found.source,
        "file": found.file,
        "needs": wish.needs,
        "state": found.state,
        "reason": wish.reason,
    }


def _errors(live: Live) -> list[str]:
    waiting = set(live.pending)
    return [
        f"{line.file}, line {line.number}: {line.name or ''} {line.error}"
        for line in live.files or ()
        if line.error and not (line.error == TAKES_RESTART and line.name in waiting)
    ]
