"""The table of contents of the suite: every feature, read from the sources, and the marks that make tests of it.

A feature is `check("name", since=…, until=…)` in `scripts/check_AREA.py`, which runs in the client's environment, or
`story("AREA", "name", since=…, until=…)` in a test file, for what needs more than one script. Nothing is listed twice.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.missing import MISSING

HERE = Path(__file__).resolve().parent
VERSIONS = ("2.6.0", "0.12.0")
"""The newest client, and the oldest that speaks this API. The only one before it, 0.7.4, reads the answer of a single
ack as an object and takes the array for a failure, though the ack is done."""

BETWEEN = ("0.7.4", "0.15.0", "1.3.0", "2.3.0")
"""Versions whose basic life is tried."""

AREAS = {
    "queue": "Queues and their options",
    "push": "Push",
    "buffer": "Push with buffers",
    "pop": "Pop",
    "ack": "Acknowledgements",
    "consume": "Consume",
    "groups": "Consumer groups and subscription modes",
    "transaction": "Transactions",
    "dlq": "Dead letters",
    "lease": "Lease renewal",
    "trace": "Tracing",
    "admin": "Admin calls",
    "reads": "Reads by offset",
    "discovery": "Discovery by namespace and task",
    "unbuilt": "What the server does not have, and what the client says then",
    "reconnect": "Servers and consumers that end",
    "balance": "Several servers",
    "pressure": "429 and 503",
    "readme": "The client's own README",
}


@dataclass(frozen=True)
class Feature:
    """One line of the table."""

    area: str
    name: str
    since: str | None = None
    until: str | None = None

    @property
    def key(self) -> str:
        return f"{self.area}: {self.name}"

    def offered_by(self, version: str) -> bool:
        """Does this version of the client have it?"""
        return (self.since is None or _number(self.since) <= _number(version)) and (
            self.until is None or _number(version) <= _number(self.until)
        )


@dataclass(frozen=True)
class Cell:
    """A feature with one version of the client: one test."""

    feature: Feature
    version: str

    def __str__(self) -> str:
        return f"{self.version}-{self.feature.name.replace(' ', '_')}"


class RouteMissing(Exception):
    """The feature fails for one reason only: the server has no such route."""


@cache
def contents() -> tuple[Feature, ...]:
    """Every feature, by area in the order of AREAS, then as written."""
    found: list[Feature] = []
    for path in sorted(HERE.glob("scripts/check_*.py")):
        area = path.stem.removeprefix("check_")
        found += [Feature(area, *names, **options) for names, options in _calls(path, "check")]
    for path in sorted(HERE.glob("test_*.py")):
        found += [Feature(*names, **options) for names, options in _calls(path, "story")]
    order = list(AREAS)
    return tuple(sorted(found, key=lambda feature: order.index(feature.area)))


def checks(area: str) -> pytest.MarkDecorator:
    """One test for each check of an area and each version that offers it, as the argument `cell`."""
    path = HERE / "scripts" / f"check_{area}.py"
    return _parametrize([Feature(area, *names, **options) for names, options in _calls(path, "check")])


def story(area: str, name: str, since: str | None = None, until: str | None = None) -> pytest.MarkDecorator:
    """A feature that the test itself plays, once for each version that offers it, as the argument `cell`."""
    return _parametrize([Feature(area, name, since, until)])


def _parametrize(features: list[Feature]) -> pytest.MarkDecorator:
    cells = [Cell(feature, version) for version in VERSIONS for feature in features if feature.offered_by(version)]
    return pytest.mark.parametrize("cell", [pytest.param(one, id=str(one), marks=_marks(one)) for one in cells])


def _marks(cell: Cell) -> tuple[pytest.MarkDecorator, ...]:
    reason = MISSING.get(cell.feature.key)
    if reason is None:
        return ()
    return (pytest.mark.xfail(strict=True, reason=reason, raises=RouteMissing),)


def _calls(path: Path, function: str) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """The arguments, all literals, of the decorators of a file that call this function; in the order of the lines."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for call in getattr(node, "decorator_list", ()):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == function:
                values = [ast.literal_eval(value) for value in call.args]
                yield values, {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
