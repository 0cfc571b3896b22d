"""Were the messages of a key first delivered in order? By the floors and pushes that the messages carry themselves.

Pushes of one key may be under way together, and then the order among them is open. What is certain: a message is behind
all that had been settled when its push was written (its floor), and behind the earlier ones of its own push. Works on
arrays; knows neither time nor why a message was delivered.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from queen.bench.bits import Ints, Mask
from queen.bench.records import SEQUENCE_MAX

_STEP = SEQUENCE_MAX << 1


class OrderJudge:
    """Follows lanes: a lane is a key as one group sees it, a number below `lanes`."""

    def __init__(self, lanes: int) -> None:
        self._floors = np.zeros(lanes, np.int64)  # the largest delivered floor + 1
        empty = np.zeros(0, np.int64)
        self._lane, self._first, self._end = empty, empty, empty  # pushes that the floor has not passed yet

    @property
    def memory_bytes(self) -> int:
        return self._floors.nbytes + 3 * self._lane.nbytes

    def floors(self, lanes: Ints) -> Ints:
        """The largest floor delivered so far, -1 for none."""
        floors: Ints = self._floors[lanes] - 1
        return floors

    def behind(self, lanes: Ints, rows: Any, new: Mask) -> Mask:
        """Which rows are first deliveries (`new`) of messages that others had overtaken.

        `rows` are DELIVERY rows in the order of lanes and, within one, of time; at most a million.
        """
        if not lanes.size:
            return np.zeros(0, np.bool_)
        sequences = rows["sequence"].astype(np.int64)
        below = new & (sequences < self._passed(lanes, rows["floor"]))
        behind: Mask = below | (new & self._overtaken(lanes, rows["first"].astype(np.int64), sequences))
        return behind

    def _passed(self, lanes: Ints, floors: Ints) -> Ints:
        """For each row the largest floor + 1 up to it."""
        starts = _starts(lanes)
        heights = np.clip(floors, -1, SEQUENCE_MAX - 1) + 1
        heights[starts] = np.maximum(heights[starts], self._floors[lanes[starts]])
        heights = _running(heights, starts)
        ends = np.append(starts[1:], lanes.size) - 1
        self._floors[lanes[ends]] = heights[ends]
        return heights

    def _overtaken(self, lanes: Ints, firsts: Ints, sequences: Ints) -> Mask:
        """For each row whether a later one of its push came before it."""
        before = self._lane.size
        all_lanes = np.concatenate((self._lane, lanes))
        all_firsts = np.concatenate((self._first, firsts))
        order = np.lexsort((all_firsts, all_lanes))
        lane, first = all_lanes[order], all_firsts[order]
        ends = np.concatenate((self._end, sequences + 1))[order]
        starts = np.union1d(_starts(lane), _starts(first))
        highest = _running(ends, starts)
        behind = np.zeros(order.size, np.bool_)
        behind[order] = highest > ends
        last = np.append(starts[1:], lane.size) - 1
        last = last[first[last] >= self._floors[lane[last]]]
        self._lane, self._first, self._end = lane[last], first[last], highest[last]
        overtaken: Mask = behind[before:]
        return overtaken


def _starts(values: Ints) -> Ints:
    """Where a new run of equal values begins."""
    return np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))


def _running(values: Ints, starts: Ints) -> Ints:
    """The largest value so far, within each run."""
    lengths = np.diff(np.append(starts, values.size))
    lifts = np.repeat(np.arange(starts.size), lengths) * _STEP
    running: Ints = np.maximum.accumulate(values + lifts) - lifts
    return running
