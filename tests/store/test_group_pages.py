"""How the store walks a seek: page by page, and past an epoch that is dropped under it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple, cast

import pytest

from queen import errors
from queen.store.admin.groups import SOUGHT_PER_CALL, Groups, Place
from queen.store.pool import Pool


class _Page(NamedTuple):
    after: int | None
    sought: int


class _Scripted(Groups):
    """Answers calls by a list, and notes them."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(cast(Pool, None), "queen")
        self.answers = deque(answers)
        self.calls: list[tuple[object, ...]] = []

    async def _call(self, function: str, *arguments: object) -> list[Any]:
        self.calls.append((function, *arguments))
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return list(answer)


def test_a_queue_is_sought_page_by_page() -> None:
    groups = _Scripted([_Page(7, 500)], [_Page(9, 499)], [_Page(None, 3)])
    assert asyncio.run(groups.seek_queue(4, "g", None)) == 1002
    assert groups.calls == [("seek_queue", 4, "g", None, after, SOUGHT_PER_CALL) for after in (0, 7, 9)]


def test_a_page_that_met_a_dropped_epoch_is_repeated() -> None:
    gone = errors.EpochGone("gone")
    groups = _Scripted([_Page(7, 500)], gone, gone, [_Page(None, 3)])
    assert asyncio.run(groups.seek_queue(4, "g", None)) == 503
    assert [call[4] for call in groups.calls] == [0, 7, 7, 7]
    with pytest.raises(errors.EpochGone):
        asyncio.run(_Scripted(gone, gone, gone).seek_queue(4, "g", None))


def test_one_partition_is_named_or_missing() -> None:
    assert asyncio.run(_Scripted([Place(4, 7)]).seek_partition("q", "p", "g", None)) == (4, 7)
    assert asyncio.run(_Scripted(errors.EpochGone("gone"), []).seek_partition("q", "p", "g", None)) is None
