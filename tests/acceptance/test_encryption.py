"""encryptionEnabled on a real server: nothing plain in the tables, plain answers, and keys that change or are lost."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.api import Api, data
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer

pytest.importorskip("cryptography", reason="the extra queen[encryption] is not installed")
pytestmark = pytest.mark.pg

KEY, NEW_KEY = "7f" * 32, "2c" * 32
WORD = "tuberose"


@pytest.fixture(scope="module")
def server(module_servers: MakeServer) -> EmbeddedServer:
    """A server with a key."""
    made = module_servers(QUEEN_ENCRYPTION_KEY=KEY)
    made.start()
    return made


def stored(server: EmbeddedServer, queue: str, table: str) -> list[str]:
    """The payloads of a queue in a table, past the server."""
    text = f"SELECT payload FROM {table} JOIN queues USING (queue_id) WHERE name = %s"
    return [row[0] for row in server.query(text, queue)]


def fill(api: Api, queue: str) -> None:
    """Messages in all the ways that there are."""
    api.configure(queue, encryptionEnabled=True, retryLimit=0)
    api.push_to(queue, [{"word": WORD}, WORD, [WORD] * 3])
    item = {"queue": queue, "payload": {"word": WORD}, "transactionId": "later", "delaySeconds": 3600}
    api.push([item])
    operations = [{"type": "push", "queue": queue, "payload": {"word": WORD}, "transactionId": "tx"}]
    assert api.http.post("/api/v1/transaction", json={"operations": operations}).json()["success"] is True
    line = json.dumps({"queue": queue, "payload": {"word": WORD}, "transactionId": "line"})
    answer = api.http.post("/api/v1/push", content=line, headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 201


def test_nothing_plain_is_stored_and_everything_plain_is_answered(api: Api, server: EmbeddedServer, queue: str) -> None:
    fill(api, queue)
    batch = api.wait_pop(queue, batch=1)
    [lost] = api.ack(batch["messages"], "failed", "no")
    assert lost["dlq"] is True
    rest = api.wait_pop(queue)
    assert data(batch) + data(rest) == [{"word": WORD}, WORD, [WORD] * 3, {"word": WORD}, {"word": WORD}]
    api.settle(rest)
    [letter] = api.dead_letters(queue=queue)["messages"]
    assert letter["data"] == {"word": WORD}
    assert "dataError" not in letter
    everything = stored(server, queue, "messages") + stored(server, queue, "dead_letters")
    assert len(everything) == 7
    assert all(WORD not in text and json.loads(text)["data"] for text in everything)


def test_management_routes_and_reads_by_offset_open_payloads_and_a_replay_keeps_them(api: Api, queue: str) -> None:
    api.configure(queue, encryptionEnabled=True)
    api.push_to(queue, [{"word": WORD}])
    [message] = api.wait_pop(queue)["messages"]
    detail = api.get(f"/api/v1/messages/{message['partitionId']}/t0")
    assert (detail["data"], detail["isEncrypted"]) == ({"word": WORD}, True)
    assert api.get("/api/v1/messages", queue=queue)["messages"][0]["data"] == {"word": WORD}
    answer = api.http.post("/api/v1/fetch", json={"entries": [{"queue": queue, "offset": 0}]})
    assert answer.json()["entries"][0]["records"][0]["payload"] == {"word": WORD}
    api.ack([message], "dlq")
    [letter] = api.dead_letters(queue=queue)["messages"]
    preview = api.http.post("/api/v1/dlq/replay", json={"queue": queue, "preview": True}).json()
    assert preview["first"][0]["data"] == {"word": WORD}
    elsewhere = f"{queue}-again"
    answer = api.http.post(f"/api/v1/dlq/{letter['id']}/replay", json={"queue": elsewhere, "partition": "p"})
    assert answer.json()["result"] == "moved", answer.text
    batch = api.wait_pop(elsewhere)
    assert data(batch) == [{"word": WORD}]
    api.settle(batch)


def test_large_answers_are_opened_too(api: Api, queue: str) -> None:
    api.configure(queue, encryptionEnabled=True)
    payloads = [{"n": n, "text": "x" * 300_000} for n in range(8)]
    api.push_to(queue, payloads)
    assert [message["data"] for message in api.drain(queue)] == payloads


def test_an_auto_ack_pop_gets_each_message_once(api: Api, queue: str) -> None:
    api.configure(queue, encryptionEnabled=True)
    api.push_to(queue, [1, 2, 3])
    batch = api.pop(queue, autoAck="true")
    assert batch is not None
    assert (data(batch), batch["leaseId"]) == ([1, 2, 3], "")
    assert api.pop(queue) is None


def test_the_key_is_shown_nowhere(api: Api, server: EmbeddedServer) -> None:
    texts = [
        server.log.read_text("utf-8"),
        httpx.get(f"{server.url}/metrics").text,
        httpx.get(f"{server.url}/health").text,
    ]
    assert not any(KEY in text for text in texts)


def refused_pop(api: Api, queue: str, **parameters: Any) -> dict[str, Any]:
    answer = api.http.get(f"/api/v1/pop/queue/{queue}", params=parameters)
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"]
    return dict(answer.json())


def test_servers_with_other_keys(api: Api, server: EmbeddedServer, module_servers: MakeServer) -> None:
    for queue in ("rotated", "auto", "dead"):
        api.configure(queue, encryptionEnabled=True, retryLimit=0)
        api.push_to(queue, [WORD])
    [letter] = api.wait_pop("dead")["messages"]
    api.ack([letter], "dlq")

    wrong = module_servers(beside=server, QUEEN_ENCRYPTION_KEY=NEW_KEY)
    wrong.start()
    with Api(wrong.url) as other:
        for queue, more in (("rotated", {}), ("auto", {"autoAck": "true"})):
            error = refused_pop(other, queue, **more)
            assert error["code"] == "payload_sealed"
            assert error["hint"]
            assert WORD not in json.dumps(error)
        [row] = other.dead_letters(queue="dead")["messages"]
        assert row["data"] is None
        assert row["dataError"]["code"] == "payload_sealed"
        [row] = other.get("/api/v1/messages", queue="rotated")["messages"]
        assert (row["data"], row["payload"], row["dataError"]["code"]) == (None, None, "payload_sealed")
        answer = other.http.post("/api/v1/fetch", json={"entries": [{"queue": "rotated", "offset": 0}]})
        assert (answer.status_code, answer.json()["code"]) == (503, "payload_sealed")
    assert server.query("SELECT count(*) FROM cursors WHERE lease_until > now()") == [(0,)]
    assert "messages cannot be delivered" in wrong.output()
    wrong.terminate()

    rotated = module_servers(beside=server, QUEEN_ENCRYPTION_KEY=NEW_KEY, QUEEN_ENCRYPTION_KEYS_OLD=KEY)
    rotated.start()
    with Api(rotated.url) as other:
        assert data(other.wait_pop("rotated")) == [WORD]
        assert data(other.wait_pop("auto", autoAck="true")) == [WORD]
        assert other.dead_letters(queue="dead")["messages"][0]["data"] == WORD
    rotated.terminate()

    plain = module_servers(beside=server)
    plain.start()
    with Api(plain.url) as other:
        other.push([{"queue": "dead", "payload": payload} for payload in ("plain", "again")])
    assert plain.output().count("no key is configured") == 1
    assert data(api.wait_pop("dead")) == ["plain", "again"]
    plain.terminate()
