"""What the judges of order and leases remember from one call to the next."""

from __future__ import annotations

import numpy as np

from queen.bench.lease_judge import LeaseJudge
from queen.bench.order_judge import OrderJudge
from queen.bench.records import ACKED, DELIVERY, SETTLE

LANE = np.zeros(1, np.int64)
NONE = np.zeros(0, np.int64)


def delivery(**columns: int) -> np.ndarray:
    row = np.zeros(1, DELIVERY)
    for name, value in columns.items():
        row[name] = value
    return row


def test_a_push_is_remembered_over_another_one_between() -> None:
    judge = OrderJudge(1)
    seen = [(0, 0, -1), (2, 0, -1), (3, 3, -1), (1, 0, -1), (4, 4, 3), (5, 4, 3)]
    behind = [
        bool(judge.behind(LANE, delivery(sequence=one, first=first, floor=floor), np.array([True]))[0])
        for one, first, floor in seen
    ]
    assert behind == [False, False, False, True, False, False]
    assert judge._first.tolist() == [4]  # the floor has passed the others


def test_a_lease_waits_for_the_ack_of_the_one_before_and_is_judged_once() -> None:
    judge = LeaseJudge(1_000_000)

    def take(lease: int, at_ns: int, now_ns: int) -> list[int]:
        row = delivery(lease=lease, asked_ns=at_ns - 1, at_ns=at_ns, sequence=lease)
        early: list[int] = judge.follow(LANE, row, NONE, none, now_ns)["first"].tolist()
        return early

    def ack(lease: int, sent_ns: int, now_ns: int | None) -> list[int]:
        row = np.zeros(1, SETTLE)
        row["lease"], row["first"], row["count"] = lease, lease, 1
        row["outcome"], row["sent_ns"] = ACKED, sent_ns
        early: list[int] = judge.follow(NONE, np.zeros(0, DELIVERY), LANE, row, now_ns)["first"].tolist()
        return early

    none = np.zeros(0, SETTLE)
    assert take(1, 100, 100) == []
    assert take(2, 200, 200) == []  # the ack of 1 may still turn up
    assert take(3, 300, 300) == []
    assert ack(2, 310, 320) == [3]  # sent after 3 had been there
    assert ack(1, 220, 350) == [2]
    assert take(4, 400, 400) == []
    assert judge.follow(NONE, np.zeros(0, DELIVERY), NONE, none, None)["first"].tolist() == [4]
