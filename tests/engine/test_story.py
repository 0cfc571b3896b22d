"""Stories of processes: put together in order of time, bounded, and carried on when a process has ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from queen.engine.board import Board, Ledger, Seat
from queen.engine.story import EVENTS_MAX, Story, of_plain


@pytest.fixture
def board() -> Iterator[Board]:
    fileno = Board.create(2)
    made = Board(fileno, 2)
    yield made
    made.close()
    os.close(fileno)


def events(*times: int, worker: int = 1, text: str = "") -> dict[str, list[dict[str, Any]]]:
    return {"pool": [{"at": float(at), "worker": worker, "text": text} for at in times]}


def times(story: Story) -> list[float]:
    return [event["at"] for event in story.events.get("pool", ())]


def test_two_stories_are_one_in_order_of_time() -> None:
    story = Story(events(1, 5, 9), {"pool": {60: {"timeout": 1}}})
    story.add(Story(events(2, 6), {"pool": {60: {"timeout": 2}, 120: {"back": 1}}, "flushes": {60: {"slow": 1}}}))
    assert times(story) == [1, 2, 5, 6, 9]
    assert story.counts == {"pool": {60: {"timeout": 3}, 120: {"back": 1}}, "flushes": {60: {"slow": 1}}}
    story.add(Story(events(*range(100, 100 + EVENTS_MAX))))
    assert times(story) == [float(at) for at in range(100, 100 + EVENTS_MAX)]


def test_a_story_comes_through_json_as_it_was() -> None:
    story = Story(events(1, text="\u0000 ünï \U0001f41d"), {"pool": {60: {"timeout": 1}}})
    assert of_plain(story.plain()) == story


def test_all_processes_are_told_of_and_an_ended_one_is_told_of_once(board: Board) -> None:
    assert board.stories() == Story()
    ledger = Ledger(board)
    Seat(board, 1, 1).tell(Story(events(1, 3), {"pool": {60: {"timeout": 2}}}))
    Seat(board, 2, 1).tell(Story(events(2, worker=2), {"pool": {60: {"timeout": 1}}}))
    assert (times(board.stories()), board.stories().counts) == ([1, 2, 3], {"pool": {60: {"timeout": 3}}})
    ledger.end(1, 1, replaced=True)
    assert (times(board.stories()), board.stories().counts) == ([1, 2, 3], {"pool": {60: {"timeout": 3}}})
    Seat(board, 1, 2).tell(Story(events(7), {"pool": {120: {"timeout": 1}}}))
    ledger.end(1, 2, replaced=True)
    ledger.end(1, 3, replaced=True)
    found = board.stories()
    assert times(found) == [1, 2, 3, 7]
    assert found.counts == {"pool": {60: {"timeout": 3}, 120: {"timeout": 1}}}


@pytest.mark.parametrize("text", ["x" * 200, "\U0001f41d" * 200, "\ud800" * 200])
def test_a_story_that_has_no_room_loses_its_oldest_events(board: Board, text: str) -> None:
    Seat(board, 1, 1).tell(Story(events(*range(10_000), text=text), {"pool": {60: {"timeout": 9}}}))
    found = board.stories()
    assert 20 <= len(times(found)) <= EVENTS_MAX
    assert times(found)[-1] == 9_999
    assert found.counts == {"pool": {60: {"timeout": 9}}}
