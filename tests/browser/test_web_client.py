"""A web page as client: push, long poll and ack with `fetch` from another origin, in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page

from tests.support.api import Api
from tests.support.fix_server import MakeServer
from tests.support.proxy import Proxy
from tests.support.server import EmbeddedServer, wait_until
from tests.support.web_page import page_server

pytestmark = [pytest.mark.browser, pytest.mark.pg, pytest.mark.spec("R17")]

ALLOWED = ["localhost", "127.0.0.1", "app.test"]
BODY_BYTES_MAX = 400_000


@pytest.fixture(scope="module")
def page_port() -> Iterator[int]:
    with page_server() as port:
        yield port


@pytest.fixture(scope="module")
def server(module_servers: MakeServer, page_port: int) -> EmbeddedServer:
    """Pages of localhost may call it, and those of app.test with credentials."""
    named = f"http://app.test:{page_port}"
    size = str(BODY_BYTES_MAX)
    made = module_servers("--cors-origin", "localhost", "--cors-origin", named, QUEEN_SERVER__BODY_BYTES_MAX=size)
    made.start()
    return made


class Web:
    """A page at one host. `call` and `lines` are those of tests/support/web_page.py, at the server."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def call(self, path: str, **options: Any) -> dict[str, Any]:
        return dict(self.page.evaluate("([url, options]) => call(url, options)", [self.url + path, options]))

    def lines(self, path: str, text: str) -> dict[str, Any]:
        return dict(self.page.evaluate("([url, text]) => lines(url, text)", [self.url + path, text]))

    def post(self, path: str, body: Any, **options: Any) -> dict[str, Any]:
        kind = {"Content-Type": "application/json"}
        return self.call(path, method="POST", body=json.dumps(body), headers=kind, **options)

    def push(self, queue: str, *payloads: Any, **options: Any) -> dict[str, Any]:
        items = [{"queue": queue, "payload": payload} for payload in payloads]
        return self.post("/api/v1/push", {"items": items}, **options)


Open = Callable[..., Web]


@pytest.fixture
def web(browser: Browser, page_port: int, server: EmbeddedServer) -> Iterator[Open]:
    """Opens a page at a host, which calls `server` or another URL."""
    pages: list[Page] = []

    def make(host: str = "localhost", url: str | None = None) -> Web:
        page = browser.new_page()
        pages.append(page)
        page.goto(f"http://{host}:{page_port}/")
        return Web(page, url or server.url)

    yield make
    for page in pages:
        page.close()


@pytest.mark.parametrize("host", ALLOWED)
def test_a_page_pushes_polls_and_acks(web: Open, queue: str, host: str) -> None:
    page = web(host)
    options = {"credentials": "include"} if host == "app.test" else {}
    script = """async ([url, queue, options]) => {
      const polled = call(`${url}/api/v1/pop/queue/${encodeURIComponent(queue)}?wait=true&timeout=60000`, options);
      const items = [{queue, payload: {n: 1.10}}];
      await call(`${url}/api/v1/push`, {...options, method: "POST", body: JSON.stringify({items})});
      const batch = JSON.parse((await polled).text);
      const {transactionId, partitionId, leaseId} = batch.messages[0];
      const acked = await call(`${url}/api/v1/ack`, {
        ...options, method: "POST", headers: {"Content-Type": "application/json"},
        body: JSON.stringify({transactionId, partitionId, leaseId, status: "completed"}),
      });
      return [batch.messages[0].data, JSON.parse(acked.text)[0].success];
    }"""
    assert page.page.evaluate(script, [page.url, queue, options]) == [{"n": 1.1}, True]


def test_credentials_are_for_named_origins_only(web: Open, queue: str) -> None:
    assert web("app.test").push(queue, 1, credentials="include")["status"] == 201
    assert web("localhost").push(queue, 1, credentials="include") == {"failed": "TypeError"}


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/api/v1/push", {"method": "POST", "headers": {"Content-Type": "application/json"}}),
        ("/api/v1/push", {"method": "POST", "headers": {"Content-Type": "text/plain"}}),
        ("/api/v1/push", {"method": "POST", "mode": "no-cors"}),
        ("/api/v1/pop/queue/{queue}", {}),
        ("/api/v1/pop/queue/{queue}?autoAck=true", {}),
        ("/api/v1/pop/queue/{queue}?autoAck=true", {"mode": "no-cors"}),
    ],
    ids=["push", "simple push", "blind push", "pop", "auto ack", "blind auto ack"],
)
def test_a_page_from_elsewhere_neither_sees_nor_does_anything(
    web: Open, api: Api, queue: str, path: str, options: dict[str, Any]
) -> None:
    api.push_to(queue, ["kept"])
    body = {"body": json.dumps({"items": [{"queue": queue, "payload": "smuggled"}]})} if "method" in options else {}
    seen = web("evil.test").call(path.replace("{queue}", queue), **options, **body)
    assert seen in ({"failed": "TypeError"}, {"status": 0, "headers": {}, "text": ""})
    assert [message["data"] for message in api.drain(queue)] == ["kept"]


def test_lines_go_up_and_results_come_back_line_by_line(web: Open, api: Api, queue: str) -> None:
    count = 2_000
    text = "".join(json.dumps({"payload": number, "transactionId": str(number)}) + "\n" for number in range(count))
    seen = web().lines(f"/api/v1/push?queue={queue}", text)
    assert (seen["status"], seen["rest"]) == (201, "")
    assert [line["index"] for line in seen["lines"][:-1]] == list(range(count))
    assert seen["lines"][-1] == {"done": True, "received": count, "queued": count, "duplicate": 0, "failed": 0}
    assert [message["data"] for message in api.drain(queue)] == list(range(count))


@pytest.mark.spec("R16")
def test_an_aborted_poll_ends_and_takes_no_lease(web: Open, api: Api, server: EmbeddedServer, queue: str) -> None:
    page = web()
    page.page.evaluate(
        """([url]) => {
          window.ending = new AbortController();
          window.ended = call(url, {signal: ending.signal});
        }""",
        [f"{server.url}/api/v1/pop/queue/{queue}?wait=true&timeout=60000"],
    )
    wait_until(lambda: server.parked_polls() == 1, "the poll to be parked")
    assert page.page.evaluate("() => { ending.abort(); return ended; }") == {"failed": "AbortError"}
    wait_until(lambda: server.parked_polls() == 0, "the poll to end")
    api.push_to(queue, [1])
    batch = api.pop(queue)
    assert batch is not None
    assert batch["messages"][0]["deliveryAttempt"] == 1


def test_equal_polls_of_a_page_wait_side_by_side(web: Open, server: EmbeddedServer, queue: str) -> None:
    """With `cache: "no-store"`; else Chromium holds the second back until the first is answered."""
    page = web()
    url = f"{server.url}/api/v1/pop/queue/{queue}?wait=true&timeout=60000"
    page.page.evaluate("(url) => { for (let n = 0; n < 3; n += 1) call(url); }", url)
    wait_until(lambda: server.parked_polls() == 3, "all polls to be parked")
    page.page.close()
    wait_until(lambda: server.parked_polls() == 0, "the polls to end")


def test_a_page_that_is_closed_leaves_no_poll(web: Open, server: EmbeddedServer, queue: str) -> None:
    page = web()
    url = f"{server.url}/api/v1/pop/queue/{queue}?wait=true&timeout=60000"
    page.page.evaluate("(url) => { call(url); }", url)
    wait_until(lambda: server.parked_polls() == 1, "the poll to be parked")
    page.page.close()
    wait_until(lambda: server.parked_polls() == 0, "the poll to end")


def test_empty_polls_are_204_on_one_connection(web: Open, server: EmbeddedServer, queue: str) -> None:
    with Proxy(int(server.url.rsplit(":", 1)[1])) as proxy:
        page = web(url=f"http://127.0.0.1:{proxy.port}")
        script = """async (url) => {
          const found = [];
          for (let n = 0; n < 200; n += 1) found.push(await call(url));
          return found.map((one) => [one.status, one.text, one.headers["content-type"] ?? null]);
        }"""
        found = page.page.evaluate(script, f"{page.url}/api/v1/pop/queue/{queue}")
        assert found == [[204, "", None]] * 200
        assert proxy.accepted == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/v1/push", "{", 400, "bad_request"),
        ("/api/v1/pop/queue/q?batch=x", None, 400, "bad_request"),
        ("/api/v1/resources/queues/no-such-queue", None, 404, "not_found"),
        ("/api/v1/nothing/here", None, 404, "no_such_route"),
        ("/api/v1/push", "x" * (BODY_BYTES_MAX + 1), 413, "body_too_large"),
    ],
)
def test_a_page_can_read_errors(web: Open, path: str, body: str | None, status: int, code: str) -> None:
    options = {} if body is None else {"method": "POST", "body": body}
    seen = web().call(path, **options)
    assert seen["status"] == status
    assert json.loads(seen["text"])["code"] == code


def test_a_page_can_read_when_to_come_back(web: Open, make_server: MakeServer) -> None:
    busy = make_server("--pool-size", "1", "--connection-timeout", "300")
    busy.start()
    page = web(url=busy.url)
    with psycopg.connect(busy.dsn) as locker:
        locker.execute("lock table queen.queues in access exclusive mode")
        page.page.evaluate("(url) => { window.first = call(url); }", f"{busy.url}/api/v1/resources/queues")
        wait_until(lambda: busy.metrics()["database"]["idleConnections"] == 0, "the only connection to be taken")
        seen = page.call("/api/v1/resources/queues")
    assert (seen["status"], json.loads(seen["text"])["code"]) == (503, "pool_timeout")
    assert int(seen["headers"]["retry-after"]) >= 1
    # Or the server's own upkeep took the connection before it, which waits for the same lock.
    assert page.page.evaluate("() => first")["status"] in (200, 503)


def test_a_page_can_read_the_headers_of_ours(web: Open, queue: str) -> None:
    page = web()
    assert page.push(queue, 1)["headers"]["queen-durability"] == "committed"
    page.push(f"{queue}.other", 1)
    assert page.call("/api/v1/resources/queues?limit=1")["headers"]["queen-more"] == "true"
