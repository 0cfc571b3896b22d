"""Bad input: each kind with its status, stable code, message and hint; the server unharmed and nothing half stored.

The server has small bounds (64 KiB a payload, 1 MiB a body), so that going over them is quick.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from tests.support.api import Api, acknowledgment, data, dumps, exchange, post, segment, split_answer
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg

PAYLOAD_MAX, BODY_MAX = 64 << 10, 1 << 20


@pytest.fixture(scope="module")
def server(module_servers: MakeServer) -> EmbeddedServer:
    made = module_servers(QUEEN_ENGINE__PAYLOAD_BYTES_MAX=str(PAYLOAD_MAX), QUEEN_SERVER__BODY_BYTES_MAX=str(BODY_MAX))
    made.start()
    return made


def check_refusal(answer: Any, status: int, code: str, words: str) -> None:
    """An error has a status, a stable code, a message with these words, and a hint."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["code"] == code
    assert words in found["error"]
    assert found["hint"]


def check_nothing_stored(server: EmbeddedServer, queue: str) -> None:
    """Not even the queue was made."""
    assert server.query("SELECT * FROM queues WHERE name = %s", queue) == []


class Case(NamedTuple):
    """A request body, `@` for the queue's name, and the words of its refusal."""

    name: str
    body: bytes
    words: str
    code: str = "bad_request"
    status: int = 400


GOOD = b'{"queue":"@","payload":1}'


def _items(*items: bytes) -> bytes:
    return b'{"items":[' + b",".join(items) + b"]}"


def _second(item: bytes) -> bytes:
    """A good item, then a bad one: neither may be stored."""
    return _items(GOOD, item)


PUSHES = [
    Case("nothing", b"", "bad body"),
    Case("no JSON", b"hello", "bad body"),
    Case("half a document", b'{"items":[{"queue":"@","payl', "bad body"),
    Case("two documents", _items(GOOD) + _items(GOOD), "bad body"),
    Case("a byte order mark", b"\xef\xbb\xbf" + _items(GOOD), "bad body"),
    Case("an array", b"[]", "Expected `object`"),
    Case("null", b"null", "Expected `object`"),
    Case("no items", b"{}", "missing required field `items`"),
    Case("null items", b'{"items":null}', "Expected `array`"),
    Case("items as an object", b'{"items":{}}', "Expected `array`"),
    Case("a number as an item", _second(b"5"), "Expected `object`"),
    Case("no queue", _second(b'{"payload":1}'), "missing required field `queue`"),
    Case("queue as a number", _second(b'{"queue":5,"payload":1}'), "Expected `str`"),
    Case("queue as null", _second(b'{"queue":null,"payload":1}'), "Expected `str`"),
    Case("no payload", _second(b'{"queue":"@"}'), "missing required field `payload`"),
    Case("data is no payload", _second(b'{"queue":"@","data":1}'), "missing required field `payload`"),
    Case("partition as a number", _second(b'{"queue":"@","payload":1,"partition":7}'), "partition"),
    Case("transactionId as a number", _second(b'{"queue":"@","payload":1,"transactionId":7}'), "transactionId"),
    Case("transactionId as an object", _second(b'{"queue":"@","payload":1,"transactionId":{}}'), "transactionId"),
    Case("traceId as a number", _second(b'{"queue":"@","payload":1,"traceId":7}'), "traceId"),
    Case("a queue name of 256", _second(b'{"queue":"' + b"q" * 256 + b'","payload":1}'), "256 characters"),
    Case("a partition name of 256", _second(b'{"queue":"@","payload":1,"partition":"' + b"p" * 256 + b'"}'), "256"),
    Case("a transactionId of 256", _second(b'{"queue":"@","payload":1,"transactionId":"' + b"t" * 256 + b'"}'), "256"),
    Case("a transactionId of 256 bees", _second(
        b'{"queue":"@","payload":1,"transactionId":"' + "🐝".encode() * 256 + b'"}'), "256"),
    Case("NUL in the queue", _second(b'{"queue":"@\\u0000","payload":1}'), "NUL"),
    Case("NUL in the partition", _second(b'{"queue":"@","payload":1,"partition":"\\u0000"}'), "NUL"),
    Case("NUL in the transactionId", _second(b'{"queue":"@","payload":1,"transactionId":"a\\u0000"}'), "NUL"),
    Case("a bare NUL in a name", _second(b'{"queue":"@\x00","payload":1}'), "bad body"),
    Case("a bare NUL in the transactionId", _second(b'{"queue":"@","payload":1,"transactionId":"\x00"}'), "bad body"),
    Case("a bare NUL in the payload", _second(b'{"queue":"@","payload":"a\x00b"}'), "bad body"),
    Case("a bare NUL between", _second(b'{"queue":"@","payload":\x001}'), "bad body"),
    Case("a bare newline in the payload", _second(b'{"queue":"@","payload":"a\nb"}'), "bad body"),
    Case("half a surrogate pair as queue", _second(b'{"queue":"@\\ud800","payload":1}'), "bad body"),
    Case("half a pair as transactionId", _second(b'{"queue":"@","payload":1,"transactionId":"\\udc00"}'), "bad body"),
    Case("half a pair in the payload", _second(b'{"queue":"@","payload":"x\\ud800yyyyyyyy"}'), "bad body"),
    Case("no UTF-8 in the queue", _second(b'{"queue":"@\xff","payload":1}'), "bad body"),
    Case("no UTF-8 in the payload", _second(b'{"queue":"@","payload":"\xc3\x28"}'), "bad body"),
    Case("no UTF-8 in the transactionId", _second(b'{"queue":"@","payload":1,"transactionId":"\xfe"}'), "bad body"),
    Case("a surrogate in UTF-8", _second(b'{"queue":"@","payload":"\xed\xa0\x80"}'), "bad body"),
    Case("UTF-16", '{"items":[]}'.encode("utf-16"), "bad body"),
    Case("not a number", _second(b'{"queue":"@","payload":NaN}'), "bad body"),
    Case("infinity", _second(b'{"queue":"@","payload":Infinity}'), "bad body"),
    Case("a leading zero", _second(b'{"queue":"@","payload":01}'), "bad body"),
    Case("a bare minus", _second(b'{"queue":"@","payload":-}'), "bad body"),
    Case("single quotes", _second(b"{'queue':'@','payload':1}"), "bad body"),
    Case("a trailing comma", _second(b'{"queue":"@","payload":[1,]}'), "bad body"),
    Case("nested too deeply", _second(b'{"queue":"@","payload":' + b"[" * 30_000 + b"]" * 30_000 + b"}"), "deeply"),
    Case("nested without an end", b"[" * 500_000, "bad body"),
    Case("two times", _second(b'{"queue":"@","payload":1,"delaySeconds":5,"scheduledAt":"2030-01-01"}'), "exclude"),
    Case("a delay below zero", _second(b'{"queue":"@","payload":1,"delaySeconds":-1}'), "delaySeconds"),
    Case("a time that is none", _second(b'{"queue":"@","payload":1,"scheduledAt":"soon"}'), "scheduledAt"),
    Case("a delay that is no number", _second(b'{"queue":"@","payload":1,"delaySeconds":"x"}'), "delaySeconds"),
    Case("a payload over the bound", _second(b'{"queue":"@","payload":"' + b"x" * PAYLOAD_MAX + b'"}'),
         f"{PAYLOAD_MAX + 2} bytes", "payload_too_large", 413),
    Case("a body over the bound", _items(*[GOOD] * (BODY_MAX // len(GOOD))), "too large", "body_too_large", 413),
]  # fmt: skip


@pytest.mark.parametrize("case", PUSHES, ids=lambda case: case.name)
def test_a_bad_push_is_refused_as_a_whole(api: Api, server: EmbeddedServer, queue: str, case: Case) -> None:
    answer = api.http.post("/api/v1/push", content=case.body.replace(b"@", queue.encode()))
    check_refusal(answer, case.status, case.code, case.words)
    check_nothing_stored(server, queue)


def test_names_and_payloads_at_their_bounds_are_taken(api: Api) -> None:
    name = "n" * 255
    payload = "x" * (PAYLOAD_MAX - 2)
    api.push([{"queue": name, "partition": name, "transactionId": name, "payload": payload}])
    batch = api.pop(name, name, consumerGroup=name)
    assert batch is not None
    assert data(batch) == [payload]


def test_a_body_in_chunks_is_bounded_too(api: Api, server: EmbeddedServer, queue: str) -> None:
    def chunks() -> Any:
        yield b'{"items":['
        for _ in range(BODY_MAX // 1000 + 1):
            yield b" " * 1000
        yield GOOD.replace(b"@", queue.encode()) + b"]}"

    check_refusal(api.http.post("/api/v1/push", content=chunks()), 413, "body_too_large", "too large")
    check_nothing_stored(server, queue)


def test_a_body_in_chunks_below_the_bound_is_taken(api: Api, queue: str) -> None:
    whole = _items(GOOD, GOOD).replace(b"@", queue.encode())
    answer = api.http.post("/api/v1/push", content=iter([whole[:9], whole[9:20], whole[20:]]))
    assert [one["status"] for one in answer.json()] == ["queued", "queued"]


@pytest.mark.parametrize("path", ["/api/v1/push", "/api/v1/ack", "/api/v1/ack/batch", "/api/v1/configure"])
def test_a_body_over_the_bound_is_refused_by_its_length_alone(api: Api, server: EmbeddedServer, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: q\r\nContent-Length: {BODY_MAX + 1}\r\nConnection: close\r\n\r\n"
    status, _, body = split_answer(exchange(server.url, head.encode()))
    assert status == 413
    assert json.loads(body)["code"] == "body_too_large"


ACKS = [
    Case("nothing", b"", "bad body"),
    Case("no JSON", b"{", "bad body"),
    Case("an array", b"[]", "Expected `object`"),
    Case("no acknowledgments", b"{}", "acknowledgments"),
    Case("null acknowledgments", b'{"acknowledgments":null}', "Expected `array`"),
    Case("an acknowledgment as a text", b'{"acknowledgments":["x"]}', "Expected `object`"),
    Case("transactionId as a number", b'{"acknowledgments":[{"transactionId":1}]}', "transactionId"),
    Case("partitionId as a number", b'{"acknowledgments":[{"partitionId":1}]}', "partitionId"),
    Case("status as a number", b'{"acknowledgments":[{"status":1}]}', "status"),
    Case("leaseId as an object", b'{"acknowledgments":[{"leaseId":{}}]}', "leaseId"),
    Case("error as a number", b'{"acknowledgments":[{"error":5}]}', "error"),
    Case("group as a number", b'{"acknowledgments":[],"consumerGroup":5}', "consumerGroup"),
    Case("a group of 256", b'{"acknowledgments":[],"consumerGroup":"' + b"g" * 256 + b'"}', "256"),
    Case("NUL in the group", b'{"acknowledgments":[],"consumerGroup":"\\u0000"}', "NUL"),
    Case("NUL in the transactionId", b'{"acknowledgments":[{"transactionId":"\\u0000"}]}', "NUL"),
    Case("half a surrogate pair", b'{"acknowledgments":[{"transactionId":"\\ud800"}]}', "bad body"),
    Case("no UTF-8", b'{"acknowledgments":[{"transactionId":"\xff"}]}', "bad body"),
]


@pytest.mark.parametrize("case", ACKS, ids=lambda case: case.name)
def test_a_bad_ack_is_refused(api: Api, case: Case) -> None:
    check_refusal(api.http.post("/api/v1/ack/batch", content=case.body), case.status, case.code, case.words)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"transactionId":5}', b'{"consumerGroup":[]}', b"\xff"], ids=repr)
def test_a_bad_single_ack_is_refused(api: Api, body: bytes) -> None:
    check_refusal(api.http.post("/api/v1/ack", content=body), 400, "bad_request", "bad body")


def test_acks_of_what_is_not_leased_fail_one_by_one(api: Api, queue: str) -> None:
    api.push_to(queue, range(3))
    [elsewhere] = api.push_to(f"{queue}.other", ["other"])
    batch = api.pop(queue)
    assert batch is not None
    good = acknowledgment(batch["messages"][0])
    unknown = "00000000-ffff-8001-8000-000000000000"
    bad: list[tuple[dict[str, Any], str]] = [
        ({"transactionId": "nobody"}, "unresolvable"),
        ({"transactionId": ""}, "unresolvable"),
        ({"transactionId": None}, "unresolvable"),
        ({"transactionId": "x" * 255}, "unresolvable"),
        ({"partitionId": elsewhere["partition_id"]}, "invalid or expired lease"),
        ({"partitionId": elsewhere["partition_id"], "leaseId": None}, "consumer not found"),
        ({"partitionId": unknown}, "unresolvable"),
        ({"partitionId": "nope"}, "invalid partitionId"),
        ({"partitionId": ""}, "invalid partitionId"),
        ({"partitionId": None}, "invalid partitionId"),
        ({"partitionId": "{" + good["partitionId"][1:]}, "invalid partitionId"),
        ({"partitionId": batch["messages"][0]["id"]}, "invalid partitionId"),
        ({"partitionId": "😀\x00"}, "invalid partitionId"),
        ({"leaseId": "nope"}, "invalid or expired lease"),
        ({"leaseId": "\x00"}, "invalid or expired lease"),
        ({"leaseId": "01990f3f-0a11-7d02-8c44-9b1e2d3c4f50"}, "invalid or expired lease"),
    ]
    results = api.ack_items([*({**good, **change} for change, _ in bad), good])
    for (change, words), result in zip(bad, results, strict=False):
        assert result["success"] is False, change
        assert words in result["error"], change
        assert (result["leaseReleased"], result["dlq"], result["noop"]) == (False, False, False)
    assert (results[-1]["success"], results[-1]["error"]) == (True, None)
    assert api.ack_items([{}])[0]["error"] == "invalid partitionId"
    assert api.ack_items([good], "a stranger")[0]["error"] == "invalid or expired lease"
    assert api.queue_totals(queue)["completed"] == 1


def test_an_error_text_may_be_anything(api: Api, queue: str) -> None:
    texts = ["a\x00b", "x" * 100_000, "😀", "'); DROP TABLE messages; --", "\ud7ff"]
    api.push_to(queue, range(len(texts)))
    for text in texts:
        batch = api.pop(queue, batch=1)
        assert batch is not None
        assert api.ack(batch["messages"], "dlq", text)[0]["dlq"] is True
    kept = [one["errorMessage"] for one in api.dead_letters(queue=queue)["messages"]]
    assert kept[::-1] == ["a\ufffdb", *texts[1:]]


BAD_QUERIES = [
    ("batch=abc", "batch must be an integer"),
    ("batch=1.5", "batch must be an integer"),
    ("batch=" + "9" * 31, "batch must be an integer"),
    ("batch=%D9%A3", "batch must be an integer"),
    ("partitions=x", "partitions must be an integer"),
    ("wait=true&timeout=abc", "timeout must be an integer"),
    ("leaseSeconds=-", "leaseSeconds must be an integer"),
    ("wait=maybe", "wait must be true or false"),
    ("autoAck=2", "autoAck must be true or false"),
    ("consumerGroup=" + "g" * 256, "256 characters"),
    ("consumerGroup=a%00", "NUL"),
    ("consumerGroup=%ff", "not UTF-8"),
    ("%ff=1", "not UTF-8"),
]


@pytest.mark.parametrize(("query", "words"), BAD_QUERIES, ids=[query[:30] for query, _ in BAD_QUERIES])
def test_a_bad_pop_is_refused_and_takes_nothing(api: Api, queue: str, query: str, words: str) -> None:
    api.push_to(queue, [1])
    check_refusal(api.http.get(f"/api/v1/pop/queue/{segment(queue)}?{query}"), 400, "bad_request", words)
    batch = api.pop(queue)
    assert batch is not None
    assert batch["messages"][0]["deliveryAttempt"] == 1


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("batch=-1", 1),
        ("batch=0", 1),
        ("batch=" + "9" * 18, 12),
        ("batch=", 12),
        ("partitions=-5&batch=12", 12),
        ("partitions=" + "9" * 18, 12),
        ("leaseSeconds=1000000000000", 12),
        ("leaseSeconds=-1", 12),
        ("leaseSeconds=0", 12),
        ("wait=true&timeout=-1", 12),
        ("frames=true&autopilot=true&unknown=%00&=&&x", 12),
        ("batch=3&batch=5", 5),
        ("subscriptionMode=sideways&consumerGroup=g", 12),
        ("subscriptionFrom=99999-99-99&consumerGroup=h", 12),
        ("conflation=true", 12),
    ],
)
def test_absurd_but_readable_parameters_are_cut_to_what_is_sane(
    api: Api, server: EmbeddedServer, queue: str, query: str, count: int
) -> None:
    api.push_to(queue, range(12))
    answer = api.http.get(f"/api/v1/pop/queue/{segment(queue)}?{query}")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["messages"]) == count
    text = "SELECT max(lease_until) < now() + interval '86500 s' FROM cursors WHERE lease_id::text = %s"
    assert server.query(text, answer.json()["leaseId"]) == [(True,)]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_times_at_the_ends_of_the_calendar_do_no_harm(api: Api, queue: str, moment: str) -> None:
    api.push_to(queue, [1])
    batch = api.pop(queue, consumerGroup="g", subscriptionFrom=moment)
    assert (batch is not None) == moment.startswith("0001")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/pop/queue/%ff", 400),
        ("/api/v1/pop/queue/a%00b", 400),
        ("/api/v1/pop/queue/" + "q" * 256, 400),
        ("/api/v1/pop/queue/q/partition/" + "p" * 256, 400),
        ("/api/v1/pop/queue/q/partition/%00", 400),
        ("/api/v1/resources/queues/" + "q" * 256, 400),
        ("/api/v1/resources/queues/%00", 400),
        ("/api/v1/resources/queues/%ff", 400),
        ("/api/v1/resources/queues/%ff%2F", 400),
        ("/api/v1/resources/queues?search=%ff", 400),
        ("/api/v1/dlq?from=yesterday", 400),
        ("/api/v1/dlq?queue=%00", 400),
        ("/api/v1/dlq?partition=" + "p" * 256, 400),
        ("/api/v1/dlq?limit=-1&offset=-5", 200),
        ("/api/v1/dlq?limit=1e9&offset=" + "9" * 40, 200),
        ("/api/v1/resources/queues?limit=abc&offset=" + "9" * 18, 200),
        ("/api/v1/resources/queues?search=%00", 400),
        ("/api/v1/resources/queues?search=%25_%5C", 200),
        ("/api/v1/resources/queues?namespace=%00", 400),
        ("/api/v1/pop?namespace=%00", 400),
        ("/api/v1/pop?task=" + "t" * 256, 400),
    ],
)
def test_odd_paths_and_filters(api: Api, path: str, status: int) -> None:
    answer = api.http.get(path)
    assert answer.status_code == status, answer.text
    if status == 400:
        check_refusal(answer, 400, "bad_request", "bad")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/api/v1/push"),
        ("GET", "/api/v1/push"),
        ("PUT", "/api/v1/ack"),
        ("DELETE", "/api/v1/ack/batch"),
        ("POST", "/api/v1/pop/queue/q"),
        ("DELETE", "/api/v1/pop"),
        ("GET", "/api/v1/configure"),
        ("POST", "/api/v1/resources/queues"),
        ("POST", "/health"),
        ("POST", "/metrics"),
        ("GET", "/"),
        ("GET", "/nope"),
        ("GET", "/api/v1/"),
        ("GET", "/api/v1/nope"),
        ("POST", "/api/v1/push/"),
        ("POST", "/api/v1/Push"),
        ("POST", "/api/v1/transaction/x"),
        ("GET", "/api/v1/pop/queue/"),
        ("GET", "/api/v1/pop/queue"),
        ("GET", "/api/v1/pop/queue/a/b"),
        ("GET", "/api/v1/pop/queue/a/partition/"),
        ("GET", "/api/v1/pop/queue/a/partition/b/c"),
        ("GET", "/api/v1/pops"),
        ("POST", "/api/v1/lease//extend"),
        ("DELETE", "/api/v1/queues/q/clear"),
        ("POST", "/api/v1/kv"),
        ("DELETE", "/api/v1/consumer-groups/"),
    ],
)
def test_what_is_no_route_is_a_plain_404(api: Api, method: str, path: str) -> None:
    check_refusal(api.http.request(method, path, content=b"{}"), 404, "no_such_route", "Not Found")


def test_the_type_of_a_body_does_not_matter(api: Api, queue: str) -> None:
    body = dumps({"items": [{"queue": queue, "payload": 1}]})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "???"):
        answer = api.http.post("/api/v1/push", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("kind", ["application/x-queen-push", "by its bytes"])
def test_the_binary_form_is_refused(api: Api, kind: str) -> None:
    headers = {} if kind == "by its bytes" else {"Content-Type": kind}
    answer = api.http.post("/api/v1/push", content=b"QPB1\x00\x01\x02", headers=headers)
    check_refusal(answer, 400, "bad_request", "bad body")


def test_empty_bodies_and_odd_configure_bodies(api: Api) -> None:
    for body in (b"", b"[]", b"null", b"5", b'"x"', b"{", b"\xff"):
        check_refusal(api.http.post("/api/v1/configure", content=body), 400, "bad_request", "bad body")


def test_a_refused_request_leaves_the_connection_usable(api: Api, server: EmbeddedServer, queue: str) -> None:
    good = post("/api/v1/push", _items(GOOD).replace(b"@", queue.encode()))
    bad = post("/api/v1/push", b"{").replace(b"Connection: close\r\n", b"")
    answers = exchange(server.url, bad + good)
    assert answers.count(b"HTTP/1.1 400") == 1
    assert answers.count(b"HTTP/1.1 201") == 1
