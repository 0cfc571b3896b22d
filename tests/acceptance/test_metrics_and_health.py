"""Health, metrics and CORS of a real server: fields, values, formats, and what they say while the database is away."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from queen import __version__
from tests.support.api import Api
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg

SCRAPER = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"


@pytest.mark.spec("R18")
def test_health_tells_state_and_basic_statistics(api: Api, server: EmbeddedServer, queue: str) -> None:
    before = server.health()["messages"]
    api.push_to(queue, range(7))
    batch = api.pop(queue, batch=5)
    assert batch is not None
    api.ack(batch["messages"][:2])
    api.ack(batch["messages"][2:], "dlq")
    answer = api.http.get("/health")
    assert answer.status_code == 200
    found = answer.json()
    after = found.pop("messages")
    assert {name: after[name] - before[name] for name in after} == {
        "pushed": 7, "popped": 5, "acked": 5, "deadLettered": 1
    }  # fmt: skip
    assert found.pop("uptime") >= 0
    assert found == {
        "status": "healthy",
        "database": "connected",
        "engine": "queen-python",
        "version": __version__,
        "mode": "safe",
        "modeReason": "pool size 16 is below 50",
        "parkedPolls": 0,
        "workers": {"count": 1, "restarts": 0},
    }


@pytest.mark.spec("R18")
def test_live_and_ready_answer(api: Api) -> None:
    assert api.get("/health/live") == {"status": "alive"}
    assert api.get("/health/ready") == {"status": "ready"}
    assert api.get("/status") == {"status": "ok", "engine": "queen-python"}
    for path in ("/health", "/health/live", "/health/ready", "/status"):
        head = api.http.head(path)
        assert (head.status_code, head.content) == (200, b""), path


@pytest.mark.spec("R19")
def test_metrics_as_json_hold_real_values(api: Api, server: EmbeddedServer, queue: str) -> None:
    before = server.metrics()
    api.push_to(queue, range(30))
    api.push([{"queue": queue, "payload": 0, "transactionId": "t0"}])
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(api.pop, queue, "elsewhere", wait="true", timeout=60_000)
        wait_until(lambda: server.parked_polls() == 1, "the poll to be parked")
        wait_until(lambda: server.metrics()["messages"]["rate"] > 0, "the rate to be measured")
        wait_until(lambda: server.metrics()["requests"]["rate"] > 0, "the rate to be measured")
        found = server.metrics()
        api.push([{"queue": queue, "partition": "elsewhere", "payload": 1}])
        waiting.result()
    assert found["messages"]["total"] - before["messages"]["total"] == 30
    assert found["counters"]["push_duplicates"] - before["counters"]["push_duplicates"] == 1
    assert found["requests"]["total"] - before["requests"]["total"] >= 2
    assert found["database"]["poolSize"] == 16
    assert 1 <= found["database"]["openConnections"] <= 16
    assert 0 <= found["database"]["idleConnections"] <= found["database"]["openConnections"]
    assert found["database"]["waitingRequests"] == 0
    assert found["memory"]["rss"] > 10 << 20
    assert found["cpu"]["user"] > 0
    assert found["uptime"] >= 0
    assert (found["durability"], found["mode"]) == ("committed", "safe")


@pytest.mark.spec("R34", "R35")
def test_metrics_tell_how_long_insertions_take(api: Api, server: EmbeddedServer, queue: str) -> None:
    """As percentiles since the start, and as buckets of which two reads tell the time between."""
    before = server.metrics()["insert"]
    began_at = time.perf_counter()
    api.push_to(queue, range(5), "one")
    api.push_to(queue, range(5), "two")
    elapsed_ms = (time.perf_counter() - began_at) * 1000
    after = server.metrics()["insert"]
    counts = [
        a - b for a, b in itertools.zip_longest(after["buckets"]["counts"], before["buckets"]["counts"], fillvalue=0)
    ]
    bounds = after["buckets"]["boundsUs"]
    assert sum(counts) == after["count"] - before["count"] == 2
    assert bounds == sorted(set(bounds))
    longest_us = max(bound for bound, count in zip(bounds, counts, strict=True) if count)
    assert 50 < longest_us < elapsed_ms * 1000 * 17 / 16
    text = api.http.get("/metrics/prometheus").text
    assert f"queen_insert_seconds_count {after['count']:.1f}" in text


@pytest.mark.spec("R19")
def test_waiting_requests_are_counted(make_server: MakeServer, queue: str) -> None:
    """One connection, and a lock on the queue's row: what comes next waits for the connection."""
    server = make_server("--pool-size", "1", "--connection-timeout", "60000")
    server.start()
    with Api(server.url) as api, ThreadPoolExecutor(4) as threads:
        api.push_to(queue, [1])
        with _row_lock(server, queue):
            pushes = [threads.submit(api.push, [{"queue": queue, "payload": n}]) for n in range(2)]
            others = [threads.submit(api.pop, f"{queue}.{n}") for n in range(2)]
            wait_until(lambda: server.metrics()["database"]["waitingRequests"] > 0, "a request to wait")
        assert [future.result()[0]["status"] for future in pushes] == ["queued"] * 2
        assert [future.result() for future in others] == [None, None]
        wait_until(lambda: server.metrics()["database"]["waitingRequests"] == 0, "no request to wait")
    server.check_unharmed()


class _row_lock:
    """A session that holds the rows of a queue's partitions."""

    def __init__(self, server: EmbeddedServer, queue: str) -> None:
        import psycopg

        self._connection = psycopg.connect(server.dsn, options="-c search_path=queen")
        self._queue = queue

    def __enter__(self) -> None:
        self._connection.execute(
            "SELECT p.* FROM partitions p JOIN queues q USING (queue_id) WHERE q.name = %s FOR UPDATE OF p",
            [self._queue],
        )

    def __exit__(self, *_: object) -> None:
        self._connection.rollback()
        self._connection.close()


@pytest.mark.spec("R19")
@pytest.mark.parametrize(
    ("accept", "text"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("text/plain", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("text/plain;version=0.0.4, application/json", False),
        ("text/plain;version=0.0.4", True),
        ("application/openmetrics-text", True),
        (SCRAPER, True),
    ],
)
def test_metrics_are_text_only_for_those_who_ask(api: Api, accept: str | None, text: bool) -> None:
    request = api.http.build_request("GET", "/metrics")
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    answer = api.http.send(request)
    assert answer.status_code == 200
    expected = "text/plain" if text else "application/json"
    assert answer.headers["content-type"].partition(";")[0] == expected
    assert answer.text.startswith("# HELP queen_" if text else "{")


@pytest.mark.spec("R19")
@pytest.mark.parametrize("path", ["/metrics", "/metrics/prometheus"])
def test_the_prometheus_form_parses_and_agrees_with_the_json_form(api: Api, queue: str, path: str) -> None:
    api.push_to(queue, range(3))
    found = api.get("/metrics")
    answer = api.http.get(path, headers={"Accept": SCRAPER})
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-cache"
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert all(name.startswith("queen_") for name in families)
    for name, family in families.items():
        assert family.documentation, name
        assert family.type in ("counter", "gauge", "histogram"), name
        values_of = [sample.value for sample in family.samples]
        assert min(values_of) >= 0, name
        assert family.type == "histogram" or len(values_of) == 1, name
    values = {name: family.samples[0].value for name, family in families.items()}
    assert values["queen_push_messages"] == found["messages"]["total"] > 0
    assert values["queen_pool_size_max"] == 16
    assert families["queen_build_info"].samples[0].labels == {"version": __version__}
    assert {f"queen_{name}" for name in found["counters"]} - values.keys() == set()


@pytest.fixture
def without_database(make_server: MakeServer) -> Iterator[EmbeddedServer]:
    """A server whose PostgreSQL stands still: alive, and answering nothing."""
    server = make_server("--connection-timeout", "500", QUEEN_DATABASE__STATEMENT_TIMEOUT_MS="2000")
    server.start()
    postgres = _family(server.postmaster)
    for pid in postgres:
        os.kill(pid, signal.SIGSTOP)
    yield server
    for pid in postgres:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue


def _family(pid: int) -> list[int]:
    """A process and its children."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [pid, *map(int, file.read().split())]


@pytest.mark.spec("R18", "R19")
def test_without_its_database_the_server_says_so_and_lives(without_database: EmbeddedServer, queue: str) -> None:
    server = without_database
    with Api(server.url) as api:
        health = api.http.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert health.json()["database"] == "disconnected"
        wait_until(lambda: not server.is_ready(), "/health/ready to say no")
        assert api.http.get("/health/ready").json()["database"] == "disconnected"
        assert api.get("/health/live") == {"status": "alive"}
        assert api.get("/status")["status"] == "ok"
        assert api.get("/metrics")["messages"]["total"] == 0
        assert api.http.get("/metrics/prometheus").status_code == 200
        for answer in (
            api.http.post("/api/v1/push", json={"items": [{"queue": queue, "payload": 1}]}),
            api.http.get(f"/api/v1/pop/queue/{queue}"),
            api.http.get("/api/v1/resources/queues"),
        ):
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["code"] in ("store_unavailable", "pool_timeout")
            assert answer.json()["error"]
        for pid in _family(server.postmaster):
            os.kill(pid, signal.SIGCONT)
        server.wait_ready()
        wait_until(lambda: server.health()["status"] == "healthy", "/health to be well again")
        assert api.push([{"queue": queue, "payload": 1}])[0]["status"] == "queued"
    assert "Traceback" not in server.output()


ROUTES = [("POST", "/api/v1/push"), ("GET", "/api/v1/pop/queue/q"), ("POST", "/api/v1/ack"), ("GET", "/metrics")]


def _preflight(api: Api, path: str, origin: str, method: str, headers: str = "content-type") -> httpx.Response:
    return api.http.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )


@pytest.mark.spec("R17")
@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8080", "https://localhost"])
def test_pages_of_this_machine_may_call(api: Api, origin: str, method: str, path: str) -> None:
    answer = _preflight(api, path, origin, method, "content-type, authorization")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert set(answer.headers["access-control-allow-methods"].split(", ")) == {
        "GET", "POST", "PUT", "DELETE", "OPTIONS"
    }  # fmt: skip
    assert {"Content-Type", "Authorization"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    assert "access-control-allow-credentials" not in answer.headers
    called = api.http.request(method, path, content=b"{}", headers={"Origin": origin})
    assert called.headers["access-control-allow-origin"] == origin
    assert "Origin" in called.headers["vary"]


@pytest.mark.spec("R17")
@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "http://notlocalhost", "null"]
)
def test_pages_from_elsewhere_may_not(api: Api, origin: str, method: str, path: str) -> None:
    answer = _preflight(api, path, origin, method)
    assert answer.status_code == 400
    assert answer.json()["code"] == "origin_refused"
    assert "access-control-allow-origin" not in answer.headers
    called = api.http.request(method, path, content=b"{}", headers={"Origin": origin})
    assert "access-control-allow-origin" not in called.headers


@pytest.mark.spec("R17")
def test_a_page_gets_the_same_answers_as_everybody(api: Api, queue: str) -> None:
    origin = {"Origin": "http://localhost:5173"}
    body = {"items": [{"queue": queue, "payload": {"n": 1}, "transactionId": "t"}]}
    pushed = api.http.post("/api/v1/push", json=body, headers=origin)
    assert pushed.status_code == 201
    assert "Queen-Durability" in pushed.headers["access-control-expose-headers"]
    assert api.http.post("/api/v1/push", json=body, headers=origin).json()[0]["status"] == "duplicate"
    popped = api.http.get(f"/api/v1/pop/queue/{queue}?consumerGroup=a%2Fb", headers=origin)
    assert popped.json()["consumerGroup"] == "a/b"
    [message] = popped.json()["messages"]
    acked = api.http.post("/api/v1/ack", json={**message, "status": "completed"}, headers=origin)
    assert acked.json()[0]["success"] is True
    empty = api.http.get(f"/api/v1/pop/queue/{queue}?consumerGroup=a%2Fb", headers=origin)
    assert (empty.status_code, empty.content) == (204, b"")
    assert not {"content-type", "content-length"} & empty.headers.keys()
    assert api.http.post("/api/v1/push", content=b"{", headers=origin).status_code == 400


@pytest.mark.spec("R17")
def test_a_poll_of_a_page_that_was_left_takes_no_lease(api: Api, server: EmbeddedServer, queue: str) -> None:
    from tests.support.api import connect

    with connect(server.url) as connection:
        head = f"GET /api/v1/pop/queue/{queue}?wait=true HTTP/1.1\r\nHost: q\r\nOrigin: http://localhost:1\r\n\r\n"
        connection.sendall(head.encode())
        wait_until(lambda: server.parked_polls() == 1, "the poll to be parked")
    wait_until(lambda: server.parked_polls() == 0, "the poll to end")
    api.push_to(queue, [1])
    assert api.pop(queue) is not None


def test_options_without_an_origin_is_fine(api: Api) -> None:
    for path in ("/api/v1/push", "/nope"):
        answer = api.http.options(path)
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.spec("R17")
def test_origins_are_configured_and_only_named_ones_get_credentials(make_server: MakeServer) -> None:
    server = make_server("--cors-origin", "https://app.example", "--cors-origin", "localhost")
    server.start()

    def allowed(api: Api, origin: str) -> tuple[Any, Any]:
        answer = _preflight(api, "/api/v1/push", origin, "POST")
        called = api.http.post("/api/v1/push", content=b"{}", headers={"Origin": origin})
        for name in ("access-control-allow-origin", "access-control-allow-credentials"):
            assert answer.headers.get(name) == called.headers.get(name)
        return answer.headers.get("access-control-allow-origin"), answer.headers.get("access-control-allow-credentials")

    with Api(server.url) as api:
        assert allowed(api, "https://app.example") == ("https://app.example", "true")
        assert allowed(api, "http://localhost:3000") == ("http://localhost:3000", None)
        assert allowed(api, "https://appxexample") == (None, None)
        assert allowed(api, "http://app.example") == (None, None)
    server.check_unharmed()


@pytest.mark.spec("R17")
def test_any_origin_may_be_allowed_but_without_credentials(make_server: MakeServer) -> None:
    server = make_server(QUEEN_SERVER__CORS_ORIGINS="*")
    server.start()
    with Api(server.url) as api:
        answer = _preflight(api, "/api/v1/push", "https://any.example", "POST")
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")
        assert "access-control-allow-credentials" not in answer.headers
        called = api.http.get("/metrics", headers={"Origin": "https://any.example"})
        assert called.headers["access-control-allow-origin"] == "*"
