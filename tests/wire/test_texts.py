"""Ids, times and texts as they stand on the wire: round trips, order, and what is no id of ours."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen import model, wire

NUMBERS = st.integers(1, (1 << 48) - 1)
OFFSETS = st.integers(0, (1 << 59) - 1)
PLACES = st.integers(-(1 << 59), -1)  # outside the order
KINDS = st.sampled_from([model.MESSAGE, model.PARTITION, model.QUEUE, model.DEAD_LETTER])
EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)
LAST_US = int((datetime(9999, 12, 31, tzinfo=UTC) - EPOCH_2000).total_seconds()) * 1_000_000
MICROSECONDS = st.integers(0, LAST_US)


# Ids.


@given(KINDS, NUMBERS, OFFSETS | PLACES)
def test_ids_carry_their_place_and_look_like_uuids(kind: int, number: int, offset: int) -> None:
    text = model.encode_id(kind, number, offset)
    assert model.decode_id(text, kind) == (number, offset)
    assert model.decode_id(text.upper(), kind) == (number, offset)
    parsed = uuid.UUID(text)
    assert (str(parsed), parsed.version, parsed.variant) == (text, 8, uuid.RFC_4122)
    assert all(model.decode_id(text, other) is None for other in range(4) if other != kind)


@given(NUMBERS, OFFSETS)
def test_message_ids_of_a_partition_share_their_prefix(number: int, offset: int) -> None:
    text = model.encode_id(model.MESSAGE, number, offset)
    prefix = model.message_id_prefix(number)
    assert text == f"{prefix}{offset >> 48:03x}-{offset & 0xFFFFFFFFFFFF:012x}"


@given(NUMBERS, OFFSETS, OFFSETS)
def test_message_ids_sort_like_their_offsets(number: int, one: int, two: int) -> None:
    first, second = (model.encode_id(model.MESSAGE, number, offset) for offset in (one, two))
    assert (first < second) == (one < two)


@given(NUMBERS)
def test_partition_ids(number: int) -> None:
    assert model.partition_number(model.encode_id(model.PARTITION, number)) == number
    assert model.partition_number(model.encode_id(model.QUEUE, number)) is None


@given(st.text(max_size=40) | st.uuids(version=4).map(str))
def test_what_is_no_id_of_ours_is_nothing(text: str) -> None:
    if model.decode_id(text, model.PARTITION) is None:
        assert model.partition_number(text) is None
    else:
        assert uuid.UUID(text).version == 8


@pytest.mark.parametrize("text", ["", "x", model.NO_ID, "0" * 32, model.encode_id(model.PARTITION, 1)[:-1], "-" * 36])
def test_texts_that_are_no_partition_id(text: str) -> None:
    assert model.partition_number(text) is None


@given(st.integers(0, (1 << 48) - 1))
def test_lease_ids_name_their_partition(number: int) -> None:
    lease_id = model.new_lease_id(number)
    assert model.lease_partition(lease_id) == number
    parsed = uuid.UUID(lease_id)
    assert (str(parsed), parsed.version, parsed.variant) == (lease_id, 7, uuid.RFC_4122)


def test_lease_ids_and_transaction_ids_are_never_the_same_twice() -> None:
    assert len({model.new_lease_id(5) for _ in range(1000)}) == 1000
    assert len({model.new_transaction_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text", ["", "x", "6e03bab5-ad77-4e98-bec6-9ddad861c6a9", "01a20e714ef27a62a7c1000000000005", "-" * 36]
)
def test_texts_that_are_no_lease_id(text: str) -> None:
    assert model.lease_partition(text) is None


# Times.


@given(MICROSECONDS)
def test_times_have_microseconds_and_a_z(us: int) -> None:
    text = wire.time_text(us)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    at = wire.parse_time(text)
    assert at is not None
    assert at - EPOCH_2000 == timedelta(microseconds=us)
    assert wire.datetime_text(at) == text
    assert wire.datetime_text(at.astimezone(timezone(timedelta(hours=-5)))) == text


@given(st.lists(MICROSECONDS, max_size=8))
def test_a_memory_of_the_last_time_changes_no_text(values: list[int]) -> None:
    times = wire.TimeTexts()
    assert [times.text(us) for us in [*values, 0, 0]] == [wire.time_text(us).encode() for us in [*values, 0, 0]]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-02T08:15:00Z", datetime(2026, 3, 2, 8, 15, tzinfo=UTC)),
        ("2026-03-02T08:15:00", datetime(2026, 3, 2, 8, 15, tzinfo=UTC)),
        ("2026-03-02T10:15:00+02:00", datetime(2026, 3, 2, 8, 15, tzinfo=UTC)),
        ("2026-03-02 08:15:00.5", datetime(2026, 3, 2, 8, 15, 0, 500_000, tzinfo=UTC)),
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        ("2026-13-02", None),
        ("2026-03-02T25:00:00Z", None),
        ("1772439300", None),
    ],
)
def test_times_of_a_request(text: str, at: datetime | None) -> None:
    assert wire.parse_time(text) == at


# Texts.


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_is_the_same_after_its_json_form(text: str) -> None:
    assert json.loads(wire.json_text(text.encode())) == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6))
def test_many_texts_are_written_like_one(texts: list[str]) -> None:
    values = [text.encode() for text in texts]
    assert wire.json_texts(values) == [wire.json_text(value) for value in values]


def test_raw_json_is_written_out_as_it_is() -> None:
    assert wire.encode({"a": wire.raw('{ "b" : 1.50 }')}) == b'{"a":{ "b" : 1.50 }}'
