"""locate(): from a transaction id to its place."""

from __future__ import annotations

from tests.sql.client import Session


def test_it_finds_what_lies_ahead_then_what_lies_behind_else_nothing(session: Session) -> None:
    p = session.partition()
    session.push({p: [f"m{n}" for n in range(10)]})
    assert session.locate((p, "m5", 2, 9), (p, "m2", 2, 9), (p, "m9", 2, 8), (p, "none", -1, 9), (p, "m0", -1, 9)) == [
        5,
        2,
        None,
        None,
        0,
    ]


def test_it_looks_into_the_named_partition_only(session: Session) -> None:
    p, q = session.partitions(2)
    session.push({p: ["a", "b"], q: ["b", "a"]})
    assert session.locate((p, "a", -1, 9), (q, "a", -1, 9), (p, "b", -1, 9), (999, "a", -1, 9)) == [0, 1, 1, None]


def test_one_id_at_several_places_means_the_lowest_then_the_next(session: Session) -> None:
    session.configure("q", dedupWindowSeconds=0)
    p = session.partition()
    session.push({p: ["x", "a", "x", "x"]})
    entry = (p, "x", -1, 3)
    assert session.locate(entry, (p, "a", -1, 3), entry, entry) == [0, 1, 2, 3]
    assert session.locate((p, "x", 0, 3), (p, "x", 0, 3)) == [2, 3]
    assert session.locate((p, "x", 1, 2), (p, "x", 1, 2)) == [2, 0], "what is left lies behind the cursor"
    assert session.locate((p, "x", 3, 9)) == [3], "the highest of those behind"
