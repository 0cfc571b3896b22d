"""Bits in pages against a plain set; and what 100 million messages cost."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from queen.bench.bits import PAGE_BITS, PagedBits, count_bits
from queen.bench.ledger import Ledger
from queen.bench.orders import Records
from queen.bench.records import ACCEPTED, ACKED, DELIVERY, SEND, SETTLE


def total(bits: PagedBits, kind: int) -> int:
    return sum(count_bits(scan.pages(kind)) for scan in bits.scan())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32))
def test_bits_are_a_set(seed: int) -> None:
    random = Random(seed)
    bits, model = PagedBits(3), set[tuple[int, int, int]]()
    for _ in range(12):
        kind, key, first = random.randrange(3), random.randrange(2), random.randrange(3 * PAGE_BITS)
        if random.random() < 0.5:
            count = random.choice((1, 10, PAGE_BITS, 3 * PAGE_BITS))
            run = {(kind, key, first + n) for n in range(count)}
            new = bits.set_runs(kind, *(np.array([value], np.int64) for value in (key, first, count)))
            assert new == len(run - model)
            model |= run
        else:
            sequences = [random.randrange(4) + first for _ in range(6)]
            new_ones = bits.set(kind, np.full(6, key, np.int64), np.array(sequences, np.int64))
            for sequence, is_new in zip(sequences, new_ones.tolist(), strict=True):
                assert is_new == ((kind, key, sequence) not in model)
                model.add((kind, key, sequence))
    for kind in range(3):
        assert total(bits, kind) == sum(one[0] == kind for one in model)
    for kind, key, sequence in list(model)[:50]:
        assert bits.test(kind, key, sequence)
    found = [one for scan in bits.scan() for one in scan.messages(scan.pages(1), 1 << 20)]
    assert sorted(found) == sorted((key, sequence) for kind, key, sequence in model if kind == 1)


def test_a_cleared_bit_is_clear() -> None:
    bits = PagedBits(1)
    bits.set(0, np.zeros(2, np.int64), np.array([3, 4]))
    bits.clear(0, 0, 3)
    assert (bits.test(0, 0, 3), bits.test(0, 0, 4), total(bits, 0)) == (False, True, 1)


MILLION = 1_000_000


def runs(layout: np.dtype, start: int, keys: int, **columns: int) -> bytes:
    """Rows for a million messages from `start` of each key."""
    rows = np.zeros(keys, layout)
    rows["key"], rows["first"], rows["count"] = np.arange(keys), start, MILLION
    for name, value in columns.items():
        rows[name] = value
    return rows.tobytes()


def test_a_hundred_million_messages_take_twelve_megabytes_a_group() -> None:
    keys, groups = 20, ["", "audit"]
    ledger = Ledger(groups, partitions=keys, lease_s=60, judge_early=False)
    everyone = np.repeat(np.arange(keys), 1)
    for step in range(5):
        start, now = step * MILLION, step + 1
        sends = runs(SEND, start, keys, outcome=ACCEPTED, sent_ns=now, answered_ns=now)
        ledger.feed(Records(worker=0, until_ns=now, sends=sends))
        ledger.follow()
        for group in range(len(groups)):
            # One row a message would be gigabytes: the same bits are set by runs here.
            ledger._bits.set_runs(3 + 6 * group, everyone, np.full(keys, start), np.full(keys, MILLION))
            settles = runs(SETTLE, start, keys, group=group, outcome=ACKED, sent_ns=now, at_ns=now)
            ledger.feed(Records(worker=0, until_ns=now, settles=settles))
        ledger.follow()
    report = ledger.report(True)
    assert (report.accepted, report.acked, report.lost, report.unacked) == (100 * MILLION, 200 * MILLION, 0, 0)
    assert report.memory_bytes < 12 * MILLION * len(groups)


def test_a_backlog_of_many_messages_and_one_that_is_missing() -> None:
    ledger = Ledger([""], partitions=1, lease_s=60, judge_early=False)
    rows = np.zeros(200_000, DELIVERY)
    rows["sequence"] = rows["first"] = np.arange(200_000)
    rows["attempt"], rows["at_ns"], rows["floor"] = 1, np.arange(200_000), np.arange(200_000) - 1
    rows = rows[rows["sequence"] != 123_456]
    sends = runs(SEND, 0, 1, outcome=ACCEPTED, sent_ns=7, answered_ns=8)
    ledger.feed(Records(worker=0, until_ns=1 << 40, sends=sends, deliveries=rows.tobytes()))
    report = ledger.report(True)
    assert (report.lost, report.delivered, report.reordered) == (MILLION - 199_999, 199_999, 0)
    assert report.anomalies[0].sequence == 123_456
    assert len(report.anomalies) == 40  # 20 lost, 20 not acked
