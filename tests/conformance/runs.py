"""Runs the scripts of checks, each once for a version of the client, and keeps what came of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.suite import HERE, Cell, RouteMissing
from tests.support.fix_public_client import PublicClient

Clients = Callable[[str], PublicClient]
"""Gives the client of a version."""


@dataclass(frozen=True)
class Outcome:
    """How one check went."""

    outcome: str
    detail: str

    def check(self) -> None:
        """Raise what it failed with."""
        if self.outcome == "missing":
            raise RouteMissing(self.detail)
        assert self.outcome == "works", self.detail


class Runs:
    """The outcomes of scripts, each run once for a version, against these servers."""

    def __init__(self, clients: Clients, urls: str) -> None:
        self._clients, self._urls = clients, urls
        self._done: dict[tuple[str, str], dict[str, Outcome]] = {}

    def outcome(self, cell: Cell) -> Outcome:
        """How the check of this cell went."""
        key = (cell.feature.area, cell.version)
        if key not in self._done:
            self._done[key] = run_script(self._clients(cell.version), f"check_{cell.feature.area}", self._urls)
        missing = Outcome("fails", f"the script did not come to {cell.feature.name!r}")
        return self._done[key].get(cell.feature.name, missing)


def run_script(client: PublicClient, name: str, urls: str) -> dict[str, Outcome]:
    """Run a script of checks; its outcomes by name."""
    done = client.run_file(HERE / "scripts" / f"{name}.py", urls)
    assert done.returncode == 0, f"{name} ended with {done.returncode}: {done.stderr[-4000:]}"
    lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return {one["name"]: Outcome(one["outcome"], one.get("detail", "")) for one in map(json.loads, lines)}
