"""Outages: one for each time the database was away, however many processes noticed."""

from __future__ import annotations

from typing import Any

from queen.engine.story import Story
from queen.server.past import outages


def event(kind: str, at: float, worker: int = 0, ms: int = 0, text: str = "") -> dict[str, Any]:
    return {"kind": kind, "at": at, "worker": worker, "duration_ms": ms, "text": text}


def shown(*events: dict[str, Any], away: bool = False) -> list[tuple[str, int | None, int, str]]:
    story = Story({"pool": sorted(events, key=lambda one: float(one["at"]))})
    return [(one.from_[14:22], one.ms, one.processes, one.reason) for one in outages(story, away)]


def test_an_outage_begins_where_its_end_says() -> None:
    events = [event("outage", 100, text="refused"), event("back", 104, ms=4_000)]
    assert shown(*events) == [("01:40.00", 4_000, 1, "refused")]


def test_several_processes_tell_of_one_outage() -> None:
    events = [
        event("outage", 100, worker=1, text="refused"),
        event("outage", 100.5, worker=2, text="refused"),
        event("back", 104, worker=1, ms=4_000),
        event("back", 105, worker=2, ms=4_500),
        event("outage", 200, worker=2, text="gone"),
        event("back", 201, worker=2, ms=1_000),
    ]
    assert shown(*events) == [("01:40.00", 5_000, 2, "refused"), ("03:20.00", 1_000, 1, "gone")]


def test_one_that_goes_on_has_no_length() -> None:
    past = [event("outage", 100, text="refused"), event("back", 104, ms=4_000)]
    now = [event("outage", 160, worker=1, text="gone"), event("outage", 161, worker=2, text="gone")]
    assert shown(*past, *now, away=True) == [("01:40.00", 4_000, 1, "refused"), ("02:40.00", None, 2, "gone")]


def test_nothing_happened() -> None:
    assert shown(event("timeout", 1)) == []
