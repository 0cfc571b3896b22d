"""Paths and query strings of a pop: defaults, caps, and what is refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen import errors
from queen.engine.engine import PopQuery
from queen.model import QUEUE_MODE
from queen.server import query
from queen.server.hot import is_pop
from queen.settings import EngineSettings

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def asked(raw: str = "", queue: str | None = "q", partition: str | None = None, **settings: Any) -> PopQuery:
    """The query of a pop."""
    return query.pop_query(queue, partition, raw.encode(), EngineSettings(**settings))


def test_without_parameters_everything_has_its_default() -> None:
    assert asked() == PopQuery(queue="q", group=QUEUE_MODE, batch=200, partitions=1)
    assert asked(pop_batch_default=7).batch == 7


@pytest.mark.parametrize(
    ("raw", "batch"),
    [
        ("batch=5", 5),
        ("batch=0", 1),
        ("batch=-3", 1),
        ("batch=99999", 10_000),
        ("batch=", 200),
        ("batch=1&batch=2", 2),
        ("batch=" + "9" * 18, 10_000),
        ("batch=007", 7),
        ("batch=%2B5", 5),
    ],
)
def test_the_batch_is_kept_in_bounds(raw: str, batch: int) -> None:
    assert asked(raw).batch == batch


@pytest.mark.parametrize("name", ["batch", "partitions", "timeout", "leaseSeconds"])
@pytest.mark.parametrize("value", ["x", "1.5", "1e3", "--1", "-", "0x10", "%20", "1%20", "%D9%A3", "9" * 19, "1_0"])
def test_numbers_that_are_none_are_refused(name: str, value: str) -> None:
    with pytest.raises(errors.InvalidRequest) as refusal:
        asked(f"wait=true&{name}={value}")
    assert name in refusal.value.message
    assert refusal.value.hint


@pytest.mark.parametrize(
    ("raw", "wait_ms"),
    [
        ("", 0),
        ("timeout=5000", 0),
        ("wait=false&timeout=5000", 0),
        ("wait=true", 29_750),
        ("wait=true&timeout=2000", 1900),
        ("wait=true&timeout=10000", 9750),
        ("wait=true&timeout=0", 0),
        ("wait=true&timeout=-1", 0),
        ("wait=true&timeout=9999999", 59_750),
        ("wait=true&timeout=1", 1),
    ],
)
def test_a_wait_ends_a_little_before_its_time_out(raw: str, wait_ms: int) -> None:
    assert asked(raw).wait_ms == wait_ms


@pytest.mark.parametrize(("word", "value"), [(w, True) for w in ("true", "TRUE", "1", "yes")] + [("", False)])
def test_words_for_yes(word: str, value: bool) -> None:
    assert asked(f"autoAck={word}").auto_ack is value
    assert (asked(f"wait={word}").wait_ms > 0) is value


def test_words_for_no_and_nonsense() -> None:
    assert [asked(f"autoAck={word}").auto_ack for word in ("false", "False", "0", "no")] == [False] * 4
    with pytest.raises(errors.InvalidRequest, match="autoAck"):
        asked("autoAck=maybe")


@pytest.mark.parametrize(
    ("raw", "lease_ms"),
    [
        ("", None),
        ("leaseSeconds=0", None),
        ("leaseSeconds=-5", None),
        ("leaseSeconds=5", 5000),
        ("leaseSeconds=99999999999", 86_400_000),
    ],
)
def test_the_lease(raw: str, lease_ms: int | None) -> None:
    assert asked(raw).lease_ms == lease_ms


@pytest.mark.parametrize(
    ("raw", "start"),
    [
        ("", ("all", None)),
        ("subscriptionMode=new", ("new", None)),
        ("subscriptionMode=new-only", ("new", None)),
        ("subscriptionMode=from_beginning", ("all", None)),
        ("subscriptionMode=nonsense", ("all", None)),
        ("subscriptionFrom=now", ("new", None)),
        ("subscriptionFrom=NOW&subscriptionMode=all", ("new", None)),
        ("subscriptionFrom=2026-03-02T08:15:00Z&subscriptionMode=new", ("timestamp", "2026-03-02T08:15:00+00:00")),
        ("subscriptionFrom=2026-03-02T10:15:00%2B02:00", ("timestamp", "2026-03-02T10:15:00+02:00")),
        ("subscriptionFrom=nonsense", ("all", None)),
        ("subscriptionFrom=nonsense&subscriptionMode=new", ("new", None)),
    ],
)
def test_where_a_group_starts(raw: str, start: tuple[str, str | None]) -> None:
    found = asked(raw)
    assert (found.mode, found.start_at) == start


def test_the_default_start_is_a_setting_and_a_parameter_wins() -> None:
    assert asked(subscription_mode_default="new").mode == "new"
    assert asked("subscriptionMode=all", subscription_mode_default="new").mode == "all"


def test_namespace_and_task_count_on_the_discovery_route_alone() -> None:
    assert (asked("namespace=a&task=b").namespace, asked("namespace=a&task=b").task) == (None, None)
    found = asked("namespace=a&task=b", queue=None)
    assert (found.queue, found.namespace, found.task) == (None, "a", "b")


def test_what_we_do_not_know_is_ignored() -> None:
    assert asked("conflation=true&autopilot=1&frames=x&utm=%41&&=&a") == asked()


@pytest.mark.parametrize(
    ("queue", "partition", "raw", "word"),
    [
        ("q" * 256, None, "", "queue"),
        ("q\0", None, "", "queue"),
        ("q", "p" * 256, "", "partition"),
        ("q", "p\0", "", "partition"),
        ("q", None, "consumerGroup=" + "g" * 256, "consumerGroup"),
        ("q", None, "consumerGroup=%00", "consumerGroup"),
        (None, None, "namespace=%00", "namespace"),
        (None, None, "task=" + "t" * 256, "task"),
    ],
)
def test_names_that_cannot_be_stored_are_refused(queue: str | None, partition: str | None, raw: str, word: str) -> None:
    with pytest.raises(errors.InvalidRequest, match=word) as refusal:
        asked(raw, queue, partition)
    assert refusal.value.hint


@given(TEXTS, TEXTS.filter(bool))
def test_any_text_survives_a_query_string(value: str, name: str) -> None:
    for encode in (quote, quote_plus):
        assert query.parse(f"{encode(name, safe='')}={encode(value, safe='')}".encode()) == {name: value}


@given(TEXTS)
def test_any_text_survives_a_path_segment(name: str) -> None:
    assert query.text(quote(name, safe="").encode()) == name


def test_a_plus_is_a_space_in_a_query_and_itself_in_a_path() -> None:
    assert query.parse(b"a+b=c+d%2B") == {"a b": "c d+"}
    assert query.text(b"c+d%2B") == "c+d+"


@pytest.mark.parametrize("raw", [b"%ff", b"\xff", b"%ed%a0%80", b"%c3"])
def test_what_is_no_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(errors.InvalidRequest):
        query.text(raw)
    with pytest.raises(errors.InvalidRequest):
        query.parse(b"name=" + raw)


def test_broken_percent_signs_stay_as_they_are() -> None:
    assert query.text(b"100%") == "100%"
    assert query.text(b"%zz%4") == "%zz%4"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", True),
        ("/", False),
        ("/queue", False),
        ("/queue/", False),
        ("/queue/q", True),
        ("/queue/q/", False),
        ("/queue/a%2Fb", True),
        ("/queue/q/partition", False),
        ("/queue/q/partition/", False),
        ("/queue/q/partition/p", True),
        ("/queue/q/partition/a%2Fb", True),
        ("/queue/q/partition/p/", False),
        ("/queue//partition/p", False),
        ("/queue/q/other/p", False),
        ("/other/q", False),
        ("x", False),
        ("x/queue/q", False),
        ("x/queue/q/partition/p", False),
    ],
)
def test_paths_of_a_pop(path: str, expected: bool) -> None:
    assert is_pop(b"/api/v1/pop" + path.encode()) is expected


def test_other_paths_are_no_pops() -> None:
    assert not any(is_pop(path) for path in (b"", b"/", b"/api/v1/push", b"/api/v1/po", b"/x/api/v1/pop"))
