"""The published JSON of `--list` and `--explain`: its classes, and the way from a check to them.

`python -m queen.doctor.catalogue_shape` prints the schema that config/doctor-catalogue.schema.json holds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from queen.doctor import describe
from queen.doctor.check import Check, Query
from queen.doctor.published import schema_of, text_of


class LimitShape(msgspec.Struct, frozen=True):
    """Where the figure becomes a warning and where critical, as it comes; null: never."""

    warn: float | None
    crit: float | None
    unit: str


class EntryShape(msgspec.Struct, frozen=True):
    """A check in short. `two_samples`: it compares two, a window apart. `thresholds` by their names, `needs`: what it
    must see, a sentence each; `fix_classes`: of the repairs that it may offer."""

    id: str
    group: str
    title: str
    why: str
    false_positive: str
    two_samples: bool
    thresholds: dict[str, LimitShape]
    needs: list[str]
    fix_classes: list[Literal["A", "B", "C", "D", "E"]]


class ListShape(msgspec.Struct, frozen=True):
    """What `--list` prints, in the order of the catalogue."""

    schema_version: Literal[1]
    checks: list[EntryShape]


class ExplainShape(EntryShape, frozen=True, kw_only=True):
    """What `--explain` prints. `queries`: by name, the texts by the major version from which they count, with `queen`
    for the name of the schema."""

    schema_version: Literal[1]
    explain: str
    queries: dict[str, dict[int, str]]


def of_list(checks: Iterable[Check]) -> dict[str, Any]:
    """The catalogue as plain JSON values."""
    return dict(msgspec.to_builtins(ListShape(1, [EntryShape(**_entry(check)) for check in checks])))


def of_check(check: Check) -> dict[str, Any]:
    """One check as plain JSON values."""
    queries = {name: versions(query) for name, query in check.queries.items()}
    shaped = ExplainShape(**_entry(check), schema_version=1, explain=check.explain, queries=queries)
    return dict(msgspec.to_builtins(shaped, str_keys=True))


def versions(query: Query) -> dict[int, str]:
    """The text by major version, `{schema}` filled in by the usual name."""
    texts = {query.min_version: query.text, **query.since}
    return {
        number // 10_000: text.replace("{schema_name}", "'queen'")
        .replace("{schema}", "queen")
        .replace("{{", "{")
        .replace("}}", "}")
        if "{schema" in text
        else text
        for number, text in sorted(texts.items())
    }


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of either answer."""
    return schema_of("Catalogue of queen doctor, or one check of it", [ListShape, ExplainShape])


def text() -> str:
    """The file as it is published."""
    return text_of(schema())


def _entry(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "group": check.group,
        "title": check.title,
        "why": check.why,
        "false_positive": check.false_positive,
        "two_samples": check.delta,
        "thresholds": {name: LimitShape(one.warn, one.crit, one.unit) for name, one in check.thresholds.items()},
        "needs": describe.needs(check),
        "fix_classes": list(describe.fix_classes(check)),
    }


if __name__ == "__main__":
    sys.stdout.write(text())
