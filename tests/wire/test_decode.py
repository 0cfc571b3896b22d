"""Bodies of push, ack and extend: what is read from them, what stays as it came, and what is refused."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen import errors, model, wire
from queen.model import COMPLETED, DEAD, FAILED, QUEUE_MODE, RETRY, Due, NewMessage

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=255)


def item(**fields: bytes) -> bytes:
    """A push body with one item; values are JSON text."""
    own = {"queue": b'"q"', "payload": b"1", **fields}
    return b'{"items":[{%b}]}' % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in own.items())


def refusal(decode: Any, body: bytes) -> errors.InvalidRequest:
    """The error of a body that must be refused; every one says what is wrong and what to do."""
    with pytest.raises(errors.InvalidRequest) as caught:
        decode(body)
    assert caught.value.code == "bad_request"
    assert caught.value.message.startswith("bad ")
    assert caught.value.hint
    return caught.value


# Push.


def test_an_item_with_everything() -> None:
    trace = uuid.uuid4()
    body = item(partition=b'"p"', transactionId=b'"t"', payload=b"[1, 2]", traceId=b'"%b"' % str(trace).encode())
    (message,) = wire.decode_push(body)
    assert (message.queue, message.partition, message.transaction_id, message.payload) == ("q", "p", b"t", b"[1, 2]")
    assert (message.trace_id, message.producer_sub) == (trace.bytes, None)


@pytest.mark.parametrize("partition", [None, b"null", b'""'])
def test_without_a_partition_it_is_the_default_one(partition: bytes | None) -> None:
    (message,) = wire.decode_push(item(**({} if partition is None else {"partition": partition})))
    assert message.partition == model.DEFAULT_PARTITION


@pytest.mark.parametrize("given_id", [None, b"null", b'""'])
def test_without_a_transaction_id_one_is_minted(given_id: bytes | None) -> None:
    fields = {} if given_id is None else {"transactionId": given_id}
    minted = [wire.decode_push(item(**fields))[0].transaction_id.decode() for _ in range(50)]
    assert len(set(minted)) == 50
    assert {uuid.UUID(text).version for text in minted} == {7}


def test_neighbours_keep_their_own_places() -> None:
    places = [("a", None), ("a", "1"), ("a", ""), ("b", ""), ("b", "Default"), ("a", None), ("", None), ("", "x")]
    body = json.dumps({"items": [{"queue": q, "partition": p, "payload": 1} for q, p in places]}).encode()
    got = [(message.queue, message.partition) for message in wire.decode_push(body)]
    assert got == [(q, p or "Default") for q, p in places]


@pytest.mark.parametrize(
    "payload",
    [
        b"null",
        b"0",
        b"-0.0",
        b"1e400",
        b"1" * 5000,
        b"0.1000000000000000055511151231257827",
        b'{ "b" : 1.50,\t"a":\r\n[ ] }',
        b'{"a":1,"a":2}',
        b'"\\u0000"',
        b'"\\ud83d\\ude00 \\/ \\u00e4"',
        '"ä😀"'.encode(),
        b"[" * 500 + b"]" * 500,
    ],
    ids=lambda payload: payload[:20].decode(),
)
def test_payloads_stay_the_bytes_they_were(payload: bytes) -> None:
    assert wire.decode_push(item(payload=payload))[0].payload == payload
    assert wire.decode_push(item(payload=b"  " + payload + b"\n "))[0].payload == payload


@given(JSON_VALUES, st.sampled_from([None, 2]), st.booleans())
def test_any_json_value_is_kept_byte_for_byte(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    try:
        payload = text.encode()
    except UnicodeEncodeError:
        return  # A lone surrogate has no UTF-8 form; its escaped form is tested below.
    try:
        (message,) = wire.decode_push(item(payload=payload))
    except errors.InvalidRequest:
        assert "\\ud" in text, "only lone surrogates are refused"
        return
    assert message.payload == payload


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"01",
        b"-",
        b"+1",
        b".5",
        b"NaN",
        b"Infinity",
        b"tru",
        b"'a'",
        b'"a',
        b'"\x00"',
        b'"\x1f"',
        b'"a\nb"',
        b'"\\x"',
        b'"\\u12"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b'"\\ud800"',
        b'"\\ud800 and more text"',
        b'"\\udc00 and more text"',
        b'"\\ud800\\u0041 and more"',
        b"[1,]",
        b"{a:1}",
        b'{"a":1,}',
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda payload: repr(payload[:20]),
)
def test_a_payload_that_is_no_json_is_refused(payload: bytes) -> None:
    refusal(wire.decode_push, item(payload=payload))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"null",
        b"[]",
        b"{}",
        b'{"items":null}',
        b'{"items":{}}',
        b'{"items":"x"}',
        b'{"items":[1]}',
        b'{"items":[null]}',
        b'{"items":[]} x',
        b'{"items":[]',
        b'\xef\xbb\xbf{"items":[]}',
        b'{"items":[{"payload":1}]}',
        b'{"items":[{"queue":"q"}]}',
        b'{"items":[{"queue":"q","data":1}]}',
        item(queue=b"null"),
        item(queue=b"5"),
        item(queue=b'"\\ud800"'),
        item(partition=b"5"),
        item(transactionId=b"5"),
        item(transactionId=b"{}"),
        item(transactionId=b"true"),
        item(transactionId=b'"\\ud800abcdef"'),
        item(transactionId=b'"a\x00b"'),
        item(transactionId=b'"\xff"'),
        item(traceId=b"5"),
        item(delaySeconds=b'"x"'),
        item(extra=b'"\xff"'),
    ],
    ids=lambda body: repr(body[:60]),
)
def test_a_body_of_another_shape_is_refused(body: bytes) -> None:
    refusal(wire.decode_push, body)


def test_one_wrong_item_refuses_all_and_is_named() -> None:
    body = b'{"items":[{"queue":"q","payload":1},{"queue":5,"payload":1}]}'
    assert "$.items[1].queue" in refusal(wire.decode_push, body).message
    body = b'{"items":[{"queue":"q","payload":1},{"queue":"q","payload":1,"transactionId":5}]}'
    assert "$.items[1].transactionId" in refusal(wire.decode_push, body).message


def test_nothing_to_push_and_fields_that_are_not_ours() -> None:
    assert wire.decode_push(b'{"items":[]}') == []
    assert len(wire.decode_push(b'{"more":{"x":[1]},"items":[{"queue":"q","payload":1,"producerSub":"me"}]}')) == 1


@pytest.mark.parametrize("field", ["queue", "partition", "transactionId"])
@pytest.mark.parametrize("letter", ["a", "ä", "😀"])
def test_names_may_have_255_characters_and_no_more(field: str, letter: str) -> None:
    (message,) = wire.decode_push(item(**{field: json.dumps(letter * 255, ensure_ascii=False).encode()}))
    assert letter * 255 in (message.queue, message.partition, message.transaction_id.decode())
    for ascii_only in (True, False):
        error = refusal(wire.decode_push, item(**{field: json.dumps(letter * 256, ensure_ascii=ascii_only).encode()}))
        assert f"$.items[0].{field}" in error.message
        assert "256" in error.message
        assert len(error.message) < 300, "a long name is not echoed whole"


@pytest.mark.parametrize("field", ["queue", "partition", "transactionId"])
def test_names_have_no_nul(field: str) -> None:
    assert "NUL" in refusal(wire.decode_push, item(**{field: b'"a\\u0000b"'})).message


@given(TEXTS, st.booleans())
def test_transaction_ids_are_the_same_text_however_they_are_escaped(text: str, ascii_only: bool) -> None:
    raw = json.dumps(text, ensure_ascii=ascii_only).encode()
    (message,) = wire.decode_push(item(transactionId=raw))
    _, (ack,) = wire.decode_ack(b'{"transactionId":%b}' % raw)
    assert message.transaction_id == ack.transaction_id == text.encode()


@pytest.mark.parametrize("text", ["x", "", "1234", "ä", "{}", "urn:uuid:", "g" * 32, "0" * 33])
def test_a_trace_id_that_is_no_uuid_is_ignored(text: str) -> None:
    assert wire.decode_push(item(traceId=json.dumps(text).encode()))[0].trace_id is None


DUES = [
    ({}, None),
    ({"delaySeconds": b"null", "scheduledAt": b"null"}, None),
    ({"delaySeconds": b"1"}, Due(None, 1000)),
    ({"delaySeconds": b"0.0015"}, Due(None, 2)),
    ({"delaySeconds": b"0"}, Due(None, 0)),
    ({"scheduledAt": b'"2000-01-01T00:00:01.000002Z"'}, Due(1_000_002, None)),
    ({"scheduledAt": b'"2000-01-01T02:00:01+02:00"', "delaySeconds": b"null"}, Due(1_000_000, None)),
    ({"scheduledAt": b'"2000-01-02"'}, Due(86_400_000_000, None)),
    ({"scheduledAt": b'"1900-01-01T00:00:00Z"'}, Due(0, None)),
    ({"scheduledAt": b'"9999-12-31T23:59:59-12:00"'}, Due(252_455_659_199_000_000, None)),
    ({"scheduledAt": b'"0001-01-01T00:00:00+14:00"'}, Due(0, None)),
]
BAD_DUES = [
    {"delaySeconds": b"1", "scheduledAt": b'"2030-01-01T00:00:00Z"'},
    {"delaySeconds": b"-1"},
    {"delaySeconds": b"1e300"},
    {"delaySeconds": b"315360001"},
    {"delaySeconds": b'"1"'},
    {"delaySeconds": b"true"},
    {"scheduledAt": b'""'},
    {"scheduledAt": b'"tomorrow"'},
    {"scheduledAt": b'"2030-13-01T00:00:00Z"'},
    {"scheduledAt": b"1893456000"},
]


def in_transaction(flat: bool, **fields: bytes) -> bytes:
    """A transaction with one push."""
    own = b",".join(b'"%b":%b' % (name.encode(), value) for name, value in fields.items())
    push = b'"queue":"q","payload":1' + (b"," + own if own else b"")
    return b'{"operations":[{"type":"push",%b}]}' % (push if flat else b'"items":[{%b}]' % push)


@pytest.mark.parametrize(("fields", "due"), DUES)
def test_a_message_may_be_for_later(fields: dict[str, bytes], due: Due | None) -> None:
    assert [message.due for message in wire.decode_push(item(**fields))] == [due]
    for flat in (False, True):
        [message] = wire.decode_transaction(in_transaction(flat, **fields)).operations
        assert isinstance(message, NewMessage)
        assert message.due == due


@pytest.mark.parametrize("fields", BAD_DUES)
def test_a_bad_time_refuses_the_request(fields: dict[str, bytes]) -> None:
    assert "$.items[0]" in refusal(wire.decode_push, item(**fields)).message
    for flat in (False, True):
        assert "$.operations[0]" in refusal(wire.decode_transaction, in_transaction(flat, **fields)).message


# Ack.


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (None, COMPLETED),
        (b"null", COMPLETED),
        *[(b'"%b"' % word, COMPLETED) for word in (b"completed", b"success", b"acked", b"ok")],
        (b'"retry"', RETRY),
        (b'"dlq"', DEAD),
        *[(b'"%b"' % word, FAILED) for word in (b"failed", b"", b"Completed", b"COMPLETED", b" ok", b"nonsense")],
    ],
)
def test_words_of_a_status(status: bytes | None, kind: str) -> None:
    _, (one,) = wire.decode_ack(b"{}" if status is None else b'{"status":%b}' % status)
    assert one.kind == kind


def test_an_ack_with_everything() -> None:
    partition = model.encode_id(model.PARTITION, 7)
    body = {"transactionId": "t", "partitionId": partition, "status": "failed", "leaseId": "l", "error": "e"}
    group, (one,) = wire.decode_ack(json.dumps({**body, "consumerGroup": "g"}).encode())
    assert (group, one.transaction_id, one.partition_id, one.kind) == ("g", b"t", 7, FAILED)
    assert (one.lease_id, one.error) == ("l", "e")


def test_nulls_and_empty_texts_of_an_ack_count_as_absent() -> None:
    for value in (None, ""):
        names = ("transactionId", "partitionId", "leaseId", "error", "consumerGroup")
        group, (one,) = wire.decode_ack(json.dumps(dict.fromkeys(names, value)).encode())
        assert (group, one.transaction_id, one.partition_id) == (QUEUE_MODE, b"", None)
        assert (one.lease_id, one.error) == (None, None)


def test_a_batch_takes_its_group_from_the_top_alone() -> None:
    ids = [model.encode_id(model.PARTITION, number) for number in (1, 2)]
    acks = [{"transactionId": str(n), "partitionId": ids[n // 2 % 2], "consumerGroup": "no"} for n in range(5)]
    acks[3]["partitionId"] = "nonsense"
    group, items = wire.decode_ack_batch(json.dumps({"acknowledgments": acks, "consumerGroup": "g"}).encode())
    assert group == "g"
    assert [(one.transaction_id, one.partition_id) for one in items] == [
        (b"0", 1),
        (b"1", 1),
        (b"2", 2),
        (b"3", None),
        (b"4", 1),
    ]
    assert wire.decode_ack_batch(b'{"acknowledgments":[]}') == (QUEUE_MODE, [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"status":5}',
        b'{"transactionId":5}',
        b'{"partitionId":5}',
        b'{"leaseId":[]}',
        b'{"error":"\\ud800"}',
        b'{"error":"\xff"}',
        b'{"transactionId":"\\udc00abc"}',
        b'{"consumerGroup":"\\u0000"}',
        b'{"consumerGroup":"%b"}' % (b"g" * 256),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_an_ack_of_another_shape_is_refused(body: bytes) -> None:
    refusal(wire.decode_ack, body)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"acknowledgments":null}', b'{"acknowledgments":{}}', b'{"acknowledgments":[1]}', b"[]"]
)
def test_a_batch_of_another_shape_is_refused(body: bytes) -> None:
    refusal(wire.decode_ack_batch, body)


def test_a_wrong_transaction_id_is_named_by_its_place() -> None:
    assert "at `$.transactionId`" in refusal(wire.decode_ack, b'{"transactionId":5}').message
    body = b'{"acknowledgments":[{"transactionId":"a"},{"transactionId":5}]}'
    assert "at `$.acknowledgments[1].transactionId`" in refusal(wire.decode_ack_batch, body).message


def test_a_nul_in_an_error_text_is_replaced() -> None:
    _, (one,) = wire.decode_ack(b'{"status":"failed","error":"a\\u0000b"}')
    assert one.error == "a\ufffdb"


# Extend, and names.


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        *[(body, 60) for body in (b"", b"null", b"{}", b"x", b"[]", b"\xff", b'{"seconds":null}', b'{"seconds":"5"}')],
        *[(body, 60) for body in (b'{"seconds":1.5}', b'{"seconds":true}', b"[" * 100_000)],
        (b'{"seconds":5}', 5),
        (b'{"seconds":0}', 1),
        (b'{"seconds":-5}', 1),
        (b'{"seconds":100000000000000000000}', 10**20),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_seconds_of_an_extension(body: bytes, seconds: int) -> None:
    assert wire.decode_extend(body) == seconds


def test_no_group_is_queue_mode() -> None:
    assert [wire.group_name(name) for name in (None, "", "g")] == [QUEUE_MODE, QUEUE_MODE, "g"]


def test_objects_of_management_calls() -> None:
    assert wire.decode_object(b'{"a":[1]}') == {"a": [1]}
    for body in (b"", b"[]", b"null", b"{", b'{"a":"\xff"}', b"[" * 100_000):
        refusal(wire.decode_object, body)
