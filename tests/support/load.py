"""Producers and a consumer that go on through an outage, and remember what they were told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any, Self

import httpx

from tests.support.api import Api, acknowledgment
from tests.support.server import wait_until

_PAUSE_S = 0.05


class _Worker(threading.Thread):
    """Calls in a loop until stopped. `problem`: the first answer that nothing excuses."""

    def __init__(self, url: str, queue: str) -> None:
        super().__init__(daemon=True)
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._queue = queue
        self.stopping = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.slowest_s = 0.0
        self.problem = ""

    def run(self) -> None:
        with self._client:
            while not self.stopping.is_set() and not self.problem:
                try:
                    self.step()
                except httpx.TransportError as error:
                    self.problem = repr(error)

    def step(self) -> None:
        raise NotImplementedError

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request. A 503 must say when to come back."""
        began = time.monotonic()
        answer = self._client.request(method, path, **arguments)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        self.statuses[answer.status_code] += 1
        if answer.status_code == 503:
            if int(answer.headers.get("retry-after", 0)) < 1:
                self.problem = f"503 without Retry-After: {answer.text}"
            time.sleep(_PAUSE_S)
        elif answer.status_code >= 300:
            self.problem = f"{answer.status_code} {answer.text}"
        return answer


class Producer(_Worker):
    """Pushes numbers, two at a time, to a partition of its own; repeats under the same ids what failed."""

    def __init__(self, url: str, queue: str, partition: str) -> None:
        super().__init__(url, queue)
        self.partition = partition
        self.next = 0
        self.acknowledged_at: list[float] = []
        self.results: Counter[str] = Counter()
        self._failed = False

    def step(self) -> None:
        numbers = (self.next, self.next + 1)
        items = [
            {"queue": self._queue, "partition": self.partition, "payload": n, "transactionId": f"{self.partition}-{n}"}
            for n in numbers
        ]
        answer = self.call("POST", "/api/v1/push", json={"items": items})
        statuses = [result["status"] for result in answer.json()] if answer.status_code == 201 else ["failed"]
        self.results.update(statuses)
        if "failed" in statuses:
            self._failed = True
            return
        if "duplicate" in statuses and not self._failed:
            self.problem = f"never told of a failure, and yet {answer.text}"
        self._failed = False
        self.acknowledged_at.append(time.monotonic())
        self.next += 2


class Consumer(_Worker):
    """Pops and acknowledges, as a group of its own."""

    def step(self) -> None:
        query = {"batch": "100", "partitions": "0", "consumerGroup": "live", "wait": "true", "timeout": "500"}
        answer = self.call("GET", f"/api/v1/pop/queue/{self._queue}", params=query)
        if answer.status_code != 200:
            return
        items = [acknowledgment(message) for message in answer.json()["messages"]]
        self.call("POST", "/api/v1/ack/batch", json={"consumerGroup": "live", "acknowledgments": items})


class Load:
    """Some producers and one consumer on one queue."""

    def __init__(self, url: str, queue: str, producers: int = 4) -> None:
        self._url, self._queue = url, queue
        self.producers = [Producer(url, queue, f"p{number}") for number in range(producers)]
        self.workers: list[_Worker] = [*self.producers, Consumer(url, queue)]

    def __enter__(self) -> Self:
        for worker in self.workers:
            worker.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.stopping.set()
        for worker in self.workers:
            worker.join()

    def wait_for_more(self, pushes: int = 20) -> None:
        """Until every producer was told of some more pushes."""
        goals = {producer: len(producer.acknowledged_at) + pushes for producer in self.producers}
        wait_until(
            lambda: self.problems() or all(len(one.acknowledged_at) >= goal for one, goal in goals.items()),
            "more pushes to be acknowledged",
        )
        assert self.problems() == []

    def problems(self) -> list[str]:
        """What nothing excuses."""
        return [worker.problem for worker in self.workers if worker.problem]

    def results(self) -> Counter[str]:
        """How often messages were said to be queued, duplicates or failed."""
        return sum((producer.results for producer in self.producers), Counter())

    def rate(self, since: float, until: float) -> float:
        """Acknowledged pushes a second between two moments of time.monotonic."""
        moments = [moment for producer in self.producers for moment in list(producer.acknowledged_at)]
        return sum(since <= moment < until for moment in moments) / (until - since)

    def check(self) -> None:
        """Every acknowledged number is there once and in order; what comes after them was sent and not answered."""
        assert self.problems() == []
        with Api(self._url) as api:
            found: dict[str, list[int]] = {producer.partition: [] for producer in self.producers}
            for message in api.drain(self._queue, "check"):
                found[message["partition"]].append(message["data"])
        for producer in self.producers:
            numbers = found[producer.partition]
            assert numbers in (list(range(producer.next)), list(range(producer.next + 2))), producer.partition
