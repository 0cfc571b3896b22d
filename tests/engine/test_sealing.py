"""encryptionEnabled: what is stored, who can open it, and that nothing is lost when nobody can."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
from typing import Any

import pytest

from queen import errors
from queen.engine.catalog import Partition, Queue
from queen.engine.engine import PopQuery
from queen.engine.sealing import Seals, is_sealed
from queen.model import Due
from queen.settings import EngineSettings
from tests.support.builders import ack, ids_of, message, open_engine, pop, push
from tests.support.fake_clock import in_virtual_time, settle
from tests.support.memory_store import MemoryStore

pytest.importorskip("cryptography", reason="the extra queen[encryption] is not installed")

KEY, OTHER = "11" * 32, base64.b64encode(bytes(range(32))).decode()
SECRET = b'{"name":"Ada","card":4711}'


def seals(key: str | None = KEY, *old: str) -> Seals:
    return Seals(EngineSettings(encryption_key=key, encryption_keys_old=old))


def place(queue: str = "orders", partition: str = "eu") -> Partition:
    return Partition(1, Queue(1, queue), partition, 1)


def sealed(payload: bytes = SECRET, by: Seals | None = None) -> bytes:
    return (by or seals()).seal(payload, place(), b"t1")


@pytest.mark.parametrize("payload", [SECRET, b"null", b'""', b'"\\ud83d"', b"[1]", '"é☃"'.encode(), b"1" * 2_000_000])
def test_a_payload_comes_back_byte_for_byte(payload: bytes) -> None:
    one = seals()
    stored = one.seal(payload, place(), b"t1")
    assert payload not in stored
    assert one.open_payload(stored, "orders", "eu", "t1") == payload


def test_what_is_stored_is_json_and_says_where_it_belongs() -> None:
    stored = sealed()
    assert stored[:1] == b" "
    found = json.loads(stored)
    assert found["for"] == ["orders", "eu", "t1"]
    assert set(found) == {"sealed", "key", "for", "data"}
    assert b"Ada" not in stored
    assert b"4711" not in stored


def test_equal_payloads_are_stored_differently_also_by_two_servers() -> None:
    one, two = seals(), seals()
    assert len({sealed(by=one), sealed(by=one), sealed(by=two)}) == 3


def test_a_payload_that_looks_like_a_sealed_one_is_left_alone() -> None:
    lookalike = sealed().strip()
    assert seals(None).open_payload(lookalike, "orders", "eu", "t1") == lookalike


@pytest.mark.parametrize("key", [OTHER, OTHER.replace("+", "-").rstrip("="), "AB" * 32, "ab" * 32])
def test_keys_in_every_spelling_open_what_they_sealed(key: str) -> None:
    assert seals(key).open_payload(sealed(by=seals(key)), "orders", "eu", "t1") == SECRET


def test_one_key_in_two_spellings_is_one_key() -> None:
    assert seals(bytes(range(32)).hex()).open_payload(sealed(by=seals(OTHER)), "orders", "eu", "t1") == SECRET


def test_old_keys_open_and_seal_nothing() -> None:
    before = sealed()
    rotated = seals(OTHER, KEY)
    assert rotated.open_payload(before, "orders", "eu", "t1") == SECRET
    with pytest.raises(errors.PayloadSealed):
        seals(KEY).open_payload(sealed(by=rotated), "orders", "eu", "t1")
    only_old = seals(None, KEY)
    assert only_old.open_payload(before, "orders", "eu", "t1") == SECRET
    assert sealed(by=only_old) == SECRET, "stored plain"


@pytest.mark.parametrize("other", [None, OTHER])
def test_without_the_key_the_error_names_it_and_not_the_payload(other: str | None) -> None:
    with pytest.raises(errors.PayloadSealed) as caught:
        seals(other).open_payload(sealed(), "orders", "eu", "t1")
    assert json.loads(sealed())["key"] in caught.value.message
    assert caught.value.hint
    assert KEY not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "elsewhere", [("orders", "eu", "t2"), ("orders", "us", "t1"), ("payroll", "eu", "t1")], ids=lambda one: one[0]
)
def test_a_row_in_anothers_place_is_refused(elsewhere: tuple[str, str, str]) -> None:
    with pytest.raises(errors.PayloadSealed, match="another message"):
        seals().open_payload(sealed(), *elsewhere)
    moved = sealed().replace(b'["orders","eu","t1"]', json.dumps(elsewhere, separators=(",", ":")).encode())
    with pytest.raises(errors.PayloadSealed, match="changed"):
        seals().open_payload(moved, *elsewhere)


def test_a_replayed_dead_letter_is_opened_wherever_it_is() -> None:
    assert seals().open_payload(sealed(), "orders.again", "any", "dlq:7") == SECRET


def _altered(**changes: Any) -> bytes:
    return b" " + json.dumps({**json.loads(sealed()), **changes}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "damaged",
    [
        _altered(data=""),
        _altered(data="AAAA"),
        _altered(data="not base64"),
        _altered(data=base64.b64encode(bytes(80)).decode()),
        _altered(sealed=2),
        _altered(key=7),
        b' {"sealed":1}',
        b' {"sealed":',
        sealed()[:-8],
    ],
    ids=["no data", "short data", "no base64", "zeros", "version", "key", "no key", "half an object", "cut off"],
)
def test_what_is_damaged_is_refused(damaged: bytes) -> None:
    with pytest.raises(errors.PayloadSealed):
        seals().open_payload(damaged, "orders", "eu", "t1")


def test_a_key_without_the_library_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(errors.SettingsError) as caught:
        seals()
    assert "queen[encryption]" in str(caught.value.hint)
    assert KEY not in caught.value.message
    seals(None)


def test_what_is_sealed_and_what_is_not() -> None:
    assert [is_sealed(payload) for payload in (sealed(), SECRET, sealed().strip())] == [True, False, False]


def encrypted() -> MemoryStore:
    """A store with an encrypted queue."""
    store = MemoryStore()
    store.configure("orders", encryptionEnabled=True)
    return store


def payloads(store: MemoryStore) -> list[bytes]:
    return [one.payload for one in store.messages("orders", "eu")]


@in_virtual_time
async def test_pushes_are_stored_sealed_and_popped_open() -> None:
    store = encrypted()
    async with open_engine(store, encryption_key=KEY) as engine:
        await engine.push([message("a", payload=SECRET), message("b", payload=SECRET)])
        await engine.transact([message("c", payload=SECRET)], [])
        assert all(b"Ada" not in one and one.startswith(b" {") for one in payloads(store))
        batch = await pop(engine)
        assert batch.spans[0][1].payloads == [SECRET] * 3


@in_virtual_time
async def test_a_push_that_is_tried_again_is_sealed_once() -> None:
    store = encrypted()
    async with open_engine(store, encryption_key=KEY, pending_bytes_max=1) as engine:
        own = [message("a", payload=SECRET)]
        gate = store.trouble.block("push")
        first = asyncio.ensure_future(push(engine, "z"))
        await gate.reached()
        with pytest.raises(errors.Overloaded):
            await engine.push(own)
        gate.open()
        await first
        await engine.push(own)
        assert (await pop(engine)).spans[0][1].payloads[1] == SECRET


@in_virtual_time
async def test_other_queues_are_stored_as_ever() -> None:
    store = MemoryStore()
    async with open_engine(store, encryption_key=KEY) as engine:
        await engine.push([message("a", payload=SECRET)])
        assert payloads(store) == [SECRET]


@in_virtual_time
async def test_without_a_key_a_queue_is_stored_plain_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    store = encrypted()
    async with open_engine(store) as engine:
        with caplog.at_level(logging.WARNING):
            for name in "abc":
                await engine.push([message(name, payload=SECRET)])
        assert payloads(store) == [SECRET] * 3
        assert [record.getMessage().count("orders") for record in caplog.records] == [1]


@pytest.mark.parametrize("auto_ack", [False, True])
def test_what_cannot_be_opened_is_not_delivered_and_not_lost(auto_ack: bool) -> None:
    @in_virtual_time
    async def run() -> None:
        store = encrypted()
        async with open_engine(store, encryption_key=KEY) as writer:
            await writer.push([message("a", payload=SECRET)])
        async with open_engine(store, encryption_key=OTHER) as reader:
            with pytest.raises(errors.PayloadSealed):
                await pop(reader, auto_ack=auto_ack)
            assert not any(cursor.held(store.now()) for cursor in store.cursors.values()), "no lease is left"
            assert ids_of(await pop(reader, auto_ack=auto_ack)) == [], "left alone for a moment"
            await asyncio.sleep(7)
            with pytest.raises(errors.PayloadSealed):
                await pop(reader, auto_ack=auto_ack)
        async with open_engine(store, encryption_key=OTHER, encryption_keys_old=(KEY,)) as repaired:
            batch = await pop(repaired, auto_ack=auto_ack)
            assert batch.spans[0][1].payloads == [SECRET]
            assert (batch.lease_id == "") is auto_ack
        assert all(cursor.retries == 0 for cursor in store.cursors.values()), "nothing was charged"

    run()


@in_virtual_time
async def test_partitions_that_can_be_opened_are_delivered_beside_one_that_cannot() -> None:
    store = encrypted()
    async with open_engine(store, encryption_key=KEY) as writer:
        await push(writer, "lost", partition="eu")
    async with open_engine(store, encryption_key=OTHER) as reader:
        await push(reader, "fine", partition="us")
        assert ids_of(await pop(reader, partitions=5)) == ["fine"]


@in_virtual_time
async def test_a_pop_that_acknowledges_by_itself_is_settled_when_it_returns() -> None:
    store = encrypted()
    async with open_engine(store, encryption_key=KEY) as engine:
        await push(engine, "a", "b")
        assert ids_of(await pop(engine, auto_ack=True)) == ["a", "b"]
        assert ids_of(await pop(engine)) == []
        assert [cursor.acked for cursor in store.cursors.values()] == [1]
        await push(engine, "c")
        assert ids_of(await pop(engine, auto_ack=True)) == ["c"]


@in_virtual_time
async def test_sealed_messages_open_after_the_option_was_switched_off() -> None:
    store = encrypted()
    async with open_engine(store, encryption_key=KEY) as engine:
        await engine.push([message("a", payload=SECRET)])
        store.configure("orders", encryptionEnabled=False)
        [row] = await store.find_queues(name="orders")
        engine.queue_changed(row)
        await engine.push([message("b", payload=SECRET)])
        assert [one.startswith(b" ") for one in payloads(store)] == [True, False]
        batch = await pop(engine)
        assert batch.spans[0][1].payloads == [SECRET, SECRET]
        assert [one.error for one in await ack(engine, batch)] == [None, None]


@in_virtual_time
async def test_scheduled_messages_are_sealed_too() -> None:
    store = encrypted()
    async with open_engine(store, loops=True, encryption_key=KEY) as engine:
        later = message("a", payload=SECRET)
        later.due = Due(None, 1000)
        await engine.push([later])
        batch = await pop(engine, wait_ms=60_000)
        assert batch.spans[0][1].payloads == [SECRET]


@in_virtual_time
async def test_a_client_that_left_gets_nothing_acknowledged() -> None:
    store = encrypted()
    async with open_engine(store, encryption_key=KEY) as engine:
        await push(engine, "a")
        gate = store.trouble.block("pop", after=True)
        request = await engine.prepare_pop(PopQuery("orders", auto_ack=True))
        popping = asyncio.ensure_future(engine.pop(request, 0))
        await gate.reached()
        engine.leave(request)
        gate.open()
        await popping
        await settle()
        assert ids_of(await pop(engine)) == ["a"]
