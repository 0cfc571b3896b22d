"""Payloads: of the size asked for, read back field by field, and every change of a byte noticed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen.bench import payload, sink_faults
from queen.bench.orders import Plan
from queen.bench.records import CORRUPT, FOREIGN
from queen.bench.workload import Workload
from queen.errors import SettingsError


def _plan(**shape: float) -> Plan:
    load = Workload(**shape)  # type: ignore[arg-type]
    return Plan(
        run_id="run7",
        worker=3,
        workers=4,
        seed=1,
        targets=("127.0.0.1:1",),
        queue='a "queue"',
        groups=("",),
        workload=load,
        inflight_max=100,
    )


def _items(body: bytes) -> list[dict]:
    return json.loads(body)["items"]


def _data(item: dict) -> bytes:
    return json.dumps(item["payload"], separators=(",", ":")).encode()


@pytest.mark.parametrize("size", [payload.PAYLOAD_BYTES_MIN, 100, 250, 10_240])
def test_a_push_is_json_with_payloads_of_the_size_asked_for(size: int) -> None:
    body = payload.PushBodies(_plan(payload_bytes=size, partitions=5)).write(7, 40, 39, [11, 22])
    first, second = _items(body)
    assert (first["queue"], first["partition"]) == ('a "queue"', "p000002")
    assert (first["transactionId"], second["transactionId"]) == ("run7-7-40", "run7-7-41")
    assert len(_data(first)) == size


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**39), st.integers(-1, 2**39), st.integers(0, 2**62))
def test_what_is_written_is_read(key: int, first: int, floor: int, at: int) -> None:
    body = payload.PushBodies(_plan()).write(key, first, floor, [at, at + 1])
    reader = payload.Reader("run7")
    found = [reader.read(_data(item), item["transactionId"]) for item in _items(body)]
    assert [flag for _, flag in found] == [0, 0]
    rows = payload.unpack([fields for fields, _ in found])
    assert rows["key"].tolist() == [key, key]
    assert payload.sequences(rows).tolist() == [first, first + 1]
    assert rows["offset"].tolist() == [0, 1]
    assert payload.floors(rows).tolist() == [floor, floor]
    assert rows["intended"].tolist() == [at, at + 1]
    assert rows["worker"].tolist() == [3, 3]


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    (item,) = _items(payload.PushBodies(_plan(payload_bytes=120)).write(7, 40, 39, [11]))
    good = _data(item)
    place = data.draw(st.integers(0, len(good) - 1))
    bad = good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 127))]) + good[place + 1 :]
    fields, flag = payload.Reader("run7").read(bad, item["transactionId"])
    assert flag in (CORRUPT, FOREIGN)
    if flag == CORRUPT:
        rows = payload.unpack([fields])
        assert (rows["key"][0], payload.sequences(rows)[0]) == (7, 40)


def test_the_same_json_in_other_spacing_and_order_is_good() -> None:
    (item,) = _items(payload.PushBodies(_plan()).write(7, 40, 39, [11]))
    other = json.dumps(dict(reversed(item["payload"].items())), indent=1).encode()
    assert payload.Reader("run7").read(other, item["transactionId"]) == payload.Reader("run7").read(
        _data(item), item["transactionId"]
    )


def test_other_runs_and_other_messages_are_foreign() -> None:
    (item,) = _items(payload.PushBodies(_plan()).write(7, 40, 39, [11]))
    assert payload.Reader("run8").read(_data(item), item["transactionId"])[1] == FOREIGN
    assert payload.Reader("run7").read(b'{"a":1}', "x-1-1")[1] == FOREIGN
    assert payload.Reader("run7").read(b'{"a":1}', "run7-1-1")[1] == CORRUPT


def test_the_faults_of_the_sink_look_as_they_should() -> None:
    (item,) = _items(payload.PushBodies(_plan()).write(7, 40, 39, [11]))
    reader, data, name = payload.Reader("run7"), _data(item), item["transactionId"]
    assert reader.read(sink_faults.corrupted(data), name)[1] == CORRUPT
    other, forged = sink_faults.ghost(name, data)
    fields, flag = reader.read(forged, other)
    assert flag == 0
    assert payload.sequences(payload.unpack([fields])).tolist() == [10**9 + 40]
    assert other == f"run7-7-{10**9 + 40}"
    other, forged = sink_faults.foreign(name, data)
    assert reader.read(forged, other)[1] == FOREIGN


def test_fillers_differ_and_a_too_small_payload_is_refused() -> None:
    assert len({text for text, _ in payload.fillers("r", 250, 0.6, 1)}) > 10
    with pytest.raises(SettingsError, match="no room"):
        payload.fillers("r", payload.PAYLOAD_BYTES_MIN - 1, 0.6, 1)
