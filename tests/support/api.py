"""The HTTP API as short calls for tests: plain requests and decoded answers, no retries, nothing hidden.

Every call checks the status and the type of the answer; what is refused on purpose goes through `refused`.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

TIMEOUT_S = 120.0


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


class Api:
    """Calls to one server. `durability` is what its database promises of a push."""

    def __init__(self, url: str, durability: str = "committed") -> None:
        self.url = url
        self.durability = durability
        self.http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def push(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Push items; the results."""
        answer = self.http.post("/api/v1/push", json={"items": items})
        assert answer.status_code == 201, answer.text
        assert answer.headers["queen-durability"] == self.durability
        results: list[dict[str, Any]] = answer.json()
        assert [result["index"] for result in results] == list(range(len(items)))
        return results

    def push_to(self, queue: str, payloads: Iterable[Any], partition: str | None = None) -> list[dict[str, Any]]:
        """Push payloads under the transaction ids t0, t1, … of one partition; all must be new."""
        items = [
            {"queue": queue, "payload": payload, "transactionId": f"t{number}", "partition": partition}
            for number, payload in enumerate(payloads)
        ]
        results = self.push(items)
        assert {result["status"] for result in results} == {"queued"}
        return results

    def pop(self, queue: str, partition: str | None = None, **parameters: Any) -> dict[str, Any] | None:
        """Pop from a queue or a partition; None when there is nothing."""
        path = f"/api/v1/pop/queue/{segment(queue)}"
        return self.pop_at(path if partition is None else f"{path}/partition/{segment(partition)}", **parameters)

    def pop_at(self, path: str, **parameters: Any) -> dict[str, Any] | None:
        """Pop from a path; None when there is nothing."""
        answer = self.http.get(path, params=parameters)
        if answer.status_code == 204:
            assert answer.content == b""
            assert "content-type" not in answer.headers
            return None
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/json")
        batch: dict[str, Any] = answer.json()
        assert batch["success"] is True
        assert batch["messages"], "nothing is a 204"
        return batch

    def wait_pop(self, queue: str, partition: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Pop, and wait for something to come."""
        batch = self.pop(queue, partition, wait="true", timeout=60_000, **parameters)
        assert batch is not None, "nothing came in a minute"
        return batch

    def ack(
        self, messages: Iterable[dict[str, Any]], status: str | None = "completed", error: str | None = None
    ) -> list[dict[str, Any]]:
        """Settle messages of one group under their leases; the results."""
        messages = list(messages)
        return self.ack_items(
            [acknowledgment(message, status, error) for message in messages], messages[0]["consumerGroup"]
        )

    def ack_items(self, items: list[dict[str, Any]], group: str | None = None) -> list[dict[str, Any]]:
        """Send acknowledgements as they are; the results."""
        answer = self.http.post("/api/v1/ack/batch", json={"consumerGroup": group, "acknowledgments": items})
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()
        assert [result["index"] for result in results] == list(range(len(items)))
        return results

    def settle(self, batch: dict[str, Any]) -> None:
        """Complete a whole batch."""
        assert all(result["success"] for result in self.ack(batch["messages"]))

    def drain(self, queue: str, group: str | None = None, batch: int = 1000) -> list[dict[str, Any]]:
        """Pop and complete until there is nothing more; all messages, in the order they came."""
        found: list[dict[str, Any]] = []
        while True:
            got = self.pop(queue, batch=batch, partitions=0, consumerGroup=group or "")
            if got is None:
                return found
            found += got["messages"]
            self.settle(got)

    def extend(self, lease_id: str, body: bytes = b"") -> dict[str, Any]:
        """Extend a lease."""
        answer = self.http.post(f"/api/v1/lease/{segment(lease_id)}/extend", content=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def configure(self, queue: str, **options: Any) -> dict[str, Any]:
        """Set options of a queue; the answer."""
        return self.configure_with({"queue": queue, "options": options})

    def configure_with(self, body: dict[str, Any]) -> dict[str, Any]:
        """A configure call as it is."""
        answer = self.http.post("/api/v1/configure", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["configured"] is True
        assert "error" not in answer.json()
        return dict(answer.json())

    def get(self, path: str, **parameters: Any) -> Any:
        """The content of a management route."""
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def delete(self, path: str, **parameters: Any) -> Any:
        """Delete something; the answer."""
        answer = self.http.delete(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def dead_letters(self, **parameters: Any) -> dict[str, Any]:
        """The list of dead letters."""
        return dict(self.get("/api/v1/dlq", **parameters))

    def queue_totals(self, queue: str) -> dict[str, Any]:
        """The totals of a queue."""
        return dict(self.get(f"/api/v1/resources/queues/{segment(queue)}")["totals"])


def acknowledgment(
    message: dict[str, Any], status: str | None = "completed", error: str | None = None
) -> dict[str, Any]:
    """The acknowledgement of a popped message."""
    return {
        "transactionId": message["transactionId"],
        "partitionId": message["partitionId"],
        "leaseId": message["leaseId"],
        "status": status,
        "error": error,
    }


def data(batch: dict[str, Any]) -> list[Any]:
    """The payloads of a batch."""
    return [message["data"] for message in batch["messages"]]


def connect(url: str) -> socket.socket:
    """A plain connection to a server."""
    place = urlsplit(url)
    return socket.create_connection((place.hostname or "", place.port or 0), TIMEOUT_S)


def exchange(url: str, request: bytes) -> bytes:
    """Send bytes on a connection of their own; all that comes back until the server closes it."""
    with connect(url) as connection:
        connection.sendall(request)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes, or resets, the connection."""
    found = b""
    while True:
        try:
            piece = connection.recv(65_536)
        except ConnectionError:
            return found
        if not piece:
            return found
        found += piece


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A whole POST request as bytes; the server is asked to close afterwards."""
    lines = [f"POST {path} HTTP/1.1", "Host: queen", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def split_answer(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of an answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, body


def dumps(value: Any) -> bytes:
    """A body as bytes."""
    return json.dumps(value).encode()
