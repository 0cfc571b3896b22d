"""Worker processes against a sink: every message is sent, delivered and acked once, and each fault is in the rows."""

from __future__ import annotations

from itertools import pairwise

import pytest

from queen.bench.records import ACCEPTED, ACKED, CORRUPT, FAILED, FOREIGN, REFUSED, RETRY, UNKNOWN
from tests.bench.load import Heard, against_sink


def _assert_whole(heard: Heard, messages: int, groups: int = 1) -> None:
    """Every message was sent once, and delivered to and acked by each group once."""
    sent = heard.sent(ACCEPTED)
    assert len(sent) == messages
    assert sorted(heard.placed()) == sorted(list(sent) * groups)
    settles = heard.rows("settles")
    assert settles[settles["outcome"] == ACKED]["count"].sum() == messages * groups
    counts = heard.counts
    assert (counts.due, counts.sent, counts.accepted) == (messages, messages, messages)
    assert (counts.delivered, counts.acked) == (messages * groups, messages * groups)
    assert (counts.unknown, counts.refused, counts.overflow, counts.redelivered) == (0, 0, 0, 0)
    assert heard.latency("e2e").count == messages * groups
    for metric in ("response", "generator_lag", "connection_wait", "service"):
        assert heard.latency(metric).count == messages
    assert heard.latency("ack").count == counts.acks
    assert sum(one.negative for one in heard.of(type(heard.reports[-2])) if hasattr(one, "negative")) == 0


@pytest.mark.parametrize(
    ("workers", "shape"),
    [
        (1, {"push_batch": 10}),
        (2, {"push_batch": 1, "arrivals": "uniform"}),
        (2, {"push_batch": 7, "groups": 2, "consumers": 2, "partitions": 1, "linger_ms": 5}),
        (1, {"keys": "zipf(1.2)", "ack": "auto"}),
        (1, {"ack": "message", "handler_ms": (0, 1), "pop_batch": 7}),
    ],
)
def test_every_message_is_sent_delivered_and_acked_once(workers: int, shape: dict) -> None:
    heard = against_sink([], 1500, 3000, workers=workers, **shape)
    assert heard.errors == set()
    _assert_whole(heard, 1500, shape.get("groups", 1))
    assert not heard.troubles


def test_order_is_judged_by_floors_below_each_sequence() -> None:
    rows = against_sink([], 1500, 3000, push_batch=10, partitions=1).rows("deliveries")
    assert (rows["floor"] < rows["first"].astype("int64")).all()
    assert (rows["first"] <= rows["sequence"]).all()
    assert rows["sequence"].tolist() == sorted(rows["sequence"].tolist())


def test_nacked_and_poisoned_messages_come_again_and_end() -> None:
    heard = against_sink([], 1000, 4000, nack_share=0.02, poison_share=0.01)
    assert set(heard.placed()) == heard.sent(ACCEPTED)
    assert heard.counts.redelivered > 0
    outcomes = set(heard.rows("settles")["outcome"].tolist())
    assert outcomes == {ACKED, RETRY, FAILED}


def test_a_dropped_message_is_sent_and_never_delivered() -> None:
    heard = against_sink(["drop=300"], 1000, 3000)
    assert len(heard.sent(ACCEPTED) - set(heard.placed())) == 3


def test_a_message_delivered_twice_is_in_the_rows_twice_unmarked() -> None:
    heard = against_sink(["duplicate=300"], 1000, 3000)
    placed = heard.placed()
    assert len(placed) == len(set(placed)) + 1
    assert (heard.rows("deliveries")["attempt"] == 1).all()


def test_two_swapped_messages_are_seen_out_of_order() -> None:
    rows = against_sink(["swap=300"], 1000, 3000).rows("deliveries")
    falls = 0
    for key in set(rows["key"].tolist()):
        sequences = rows[rows["key"] == key]["sequence"].astype("int64").tolist()
        falls += sum(a > b for a, b in pairwise(sequences))
    assert falls == 1


def test_corrupt_ghost_and_foreign_messages_are_flagged_with_evidence() -> None:
    heard = against_sink(["corrupt=200", "ghost=400"], 1000, 3000)
    (corrupt,) = heard.placed(CORRUPT)
    assert corrupt in heard.sent(ACCEPTED)
    assert len(heard.placed(FOREIGN)) == 1
    (ghost,) = set(heard.placed()) - heard.sent(ACCEPTED)
    assert ghost[1] > 10**9
    assert sum(len(one.evidence) for one in heard.reports if hasattr(one, "evidence")) == 2


def test_a_cut_connection_makes_its_messages_unknown_and_comes_back() -> None:
    heard = against_sink(["cut=20"], 1000, 3000, push_batch=10)
    unknown = heard.sent(UNKNOWN)
    assert len(unknown) == 10
    assert unknown < set(heard.placed())
    assert heard.errors == {"connection"}
    assert heard.counts.reconnects == 1


def test_shed_load_is_refused_and_not_repeated() -> None:
    heard = against_sink(["refuse=0.2"], 1000, 3000, push_batch=10)
    refused = heard.sent(REFUSED)
    assert refused
    assert len(refused) == heard.counts.refused == 1000 - heard.counts.accepted
    assert heard.errors == {"http_503 overloaded"}
    assert set(heard.placed()) == heard.sent(ACCEPTED)


def test_a_stall_shows_in_response_and_hardly_in_service() -> None:
    heard = against_sink(["stall=1s@1s"], 4000, 2000, push_batch=1, consume="never", arrivals="uniform", connections=4)
    response, service = heard.latency("response"), heard.latency("service")
    assert (response.percentile_ms(90) or 0) > 400
    assert (service.percentile_ms(99) or 0) < 300
    assert (service.max_ms() or 0) > 900


def test_what_is_due_beyond_the_bound_is_overflow_and_keeps_its_times() -> None:
    heard = against_sink(["delay=100ms"], 120, 4000, push_batch=1, consume="never", connections=2, inflight_max=20)
    assert heard.counts.overflow > 50
    assert heard.counts.accepted == 120
    assert (heard.latency("response").max_ms() or 0) > 3_000
    assert (heard.latency("connection_wait").max_ms() or 0) > 3_000


def test_a_server_that_is_not_queen_is_a_trouble() -> None:
    with pytest.raises(AssertionError, match="not_queen"):
        against_sink(["not-queen"], 100, 1000)
