"""The numbers that routes tell: exact on a small system, as kept lately where there are thousands of partitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from queen.server.shapes import numbers as shapes
from tests.support.api import Api, segment
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg

MANY = 2_100


def told(api: Api, model: type[BaseModel], path: str, **parameters: Any) -> Any:
    """The content of a route, which must be exactly what the route declares."""
    content = api.get(f"/api/v1/{path}", **parameters)
    model.model_validate(content, strict=True)
    return content


@pytest.fixture(scope="module")
def small(server: EmbeddedServer) -> Iterator[Api]:
    """One queue with two partitions: group g has acked one of five, holds three; another queue with one message."""
    with Api(server.url) as api:
        api.configure_with({"queue": "sm.one", "namespace": "sm", "task": "one", "options": {"leaseTime": 600}})
        api.push_to("sm.one", range(5), "a")
        api.push_to("sm.one", range(3), "b")
        api.push_to("sm.two", range(1))
        api.push_to("other", range(1))
        batch = api.pop("sm.one", "a", consumerGroup="g", batch=4)
        assert batch is not None
        api.ack(batch["messages"][:1])
        yield api


def test_the_list_of_queues(small: Api) -> None:
    content = told(small, shapes.QueueList, "resources/queues", namespace="sm")
    assert content["statsAge"] == 0
    one, two = content["queues"]
    assert (one["name"], one["partitions"], one["messages"]) == (
        "sm.one",
        2,
        {"total": 8, "pending": 7, "processing": 3},
    )
    assert (two["name"], two["messages"]) == ("sm.two", {"total": 1, "pending": 1, "processing": 0})
    assert one["segments"] == {"segments": 0, "messages": 8}


def test_one_queue(small: Api) -> None:
    content = told(small, shapes.QueueDetail, "resources/queues/sm.one")
    assert content["totals"] == {
        "total": 8, "pending": 7, "processing": 3, "completed": 1, "failed": None, "deadLetter": 0
    }  # fmt: skip
    assert content["statsAge"] == 0
    assert [one["stats"]["pending"] for one in content["partitions"]] == [4, 3]
    assert content["partitions"][0]["oldestMessage"] <= content["partitions"][0]["newestMessage"]


@pytest.mark.parametrize("group", ["g", None])
def test_the_depth_of_a_group(small: Api, group: str | None) -> None:
    content = told(small, shapes.QueueDepth, "resources/queues/sm.one/depth", **({"group": group} if group else {}))
    assert content == {
        "queue": "sm.one",
        "group": group,
        "pending": 7,
        "processing": 3,
        "ready": 4,
        "partitionsPending": 2,
        "partitionsReady": 2,
        "conflation": False,
        "effectivePending": 7,
        "effectiveReady": 4,
        "partitions": [
            {"partition": "a", "pending": 4, "processing": 3, "ready": 1},
            {"partition": "b", "pending": 3, "processing": 0, "ready": 3},
        ],
        "statsAge": 0.0,
    }


def test_the_depth_of_a_group_that_has_read_nothing_and_a_page_of_it(small: Api) -> None:
    path = "resources/queues/sm.one/depth"
    content = told(small, shapes.QueueDepth, path, group="nobody", limit=1, offset=1)
    assert (content["pending"], content["ready"]) == (8, 8)
    assert [one["partition"] for one in content["partitions"]] == ["b"]


def test_the_overview(small: Api) -> None:
    before = told(small, shapes.Overview, "resources/overview")
    small.push_to("sm.overview", range(4))
    content = told(small, shapes.Overview, "resources/overview")
    assert content["queues"] == before["queues"] + 1
    assert content["messages"]["total"] == before["messages"]["total"] + 4
    assert content["messages"]["completed"] == content["messages"]["total"] - content["messages"]["pending"]
    assert content["statsAge"] == 0
    assert content["lag"]["offset"]["max"] >= 7
    assert content["lag"]["time"]["max"] > 0


@pytest.mark.parametrize(("what", "model"), [("namespace", shapes.Namespaces), ("task", shapes.Tasks)])
def test_namespaces_and_tasks(small: Api, what: str, model: type[BaseModel]) -> None:
    content = told(small, model, f"resources/{what}s")
    name = {"namespace": "sm", "task": "one"}[what]
    [found] = [one for one in content[f"{what}s"] if one[what] == name]
    if what == "task":
        assert found == {"task": "one", "queues": 1, "partitions": 2, "messages": {"total": 8, "pending": 7}}
    else:
        assert found["queues"] >= 2
    page = small.http.get(f"/api/v1/resources/{what}s", params={"limit": 1})
    assert len(page.json()[f"{what}s"]) == 1
    assert page.headers["queen-more"] == "true"


def test_the_list_of_partitions(small: Api) -> None:
    content = told(small, shapes.Partitions, "resources/partitions", queue="sm.one")
    assert [(one["name"], one["queue"], one["messages"]) for one in content["partitions"]] == [
        ("a", "sm.one", {"total": 5, "pending": 4, "processing": 3}),
        ("b", "sm.one", {"total": 3, "pending": 3, "processing": 0}),
    ]
    assert content["pagination"] == {"limit": 100, "offset": 0}
    every = told(small, shapes.Partitions, "resources/partitions", limit=1000)
    assert {("sm.one", "a"), ("sm.two", "Default")} <= {(one["queue"], one["name"]) for one in every["partitions"]}
    assert told(small, shapes.Partitions, "resources/partitions", queue="sm.one", limit=1, offset=1)["partitions"] == [
        content["partitions"][1]
    ]


def test_the_states_of_queues(small: Api) -> None:
    content = told(small, shapes.StatusQueues, "status/queues", queue="sm.one")
    [one] = content["queues"]
    assert (one["partitions"], one["messages"]) == (
        2,
        {"total": 8, "pending": 7, "processing": 3, "completed": 1, "deadLetter": 0},
    )
    assert content["pagination"] == {"limit": 100, "offset": 0}
    assert told(small, shapes.StatusQueues, "status/queues", namespace="sm", task="one")["queues"] == [one]
    assert told(small, shapes.StatusQueues, "status/queues", queue="nobody")["queues"] == []


def test_the_state_of_one_queue(small: Api) -> None:
    content = told(small, shapes.QueueStatus, "status/queues/sm.one", includePartitions="true")
    assert content["queue"]["config"] == {
        "leaseTime": 600, "retryLimit": 3, "retryDelay": 1000, "ttl": 3600, "maxSize": 0, "priority": 0
    }  # fmt: skip
    assert content["totals"] == {"total": 8, "pending": 7, "processing": 3, "completed": 1, "deadLetter": 0}
    first, second = content["partitions"]
    assert first["cursor"] == {"totalConsumed": 1, "batchesConsumed": None}
    assert second["cursor"]["totalConsumed"] == 0
    assert first["lastActivity"] == first["newestMessage"]


def test_buffers(small: Api) -> None:
    content = told(small, shapes.Buffers, "status/buffers")
    assert content == {"pending": 0, "failed": 0, "dbHealthy": True, "worker": 0}


def test_dead_letters_are_in_the_totals(api: Api, queue: str) -> None:
    api.push_to(queue, range(2))
    batch = api.wait_pop(queue)
    api.ack(batch["messages"][:1], "dlq", "no use")
    assert api.queue_totals(queue)["deadLetter"] == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"not JSON"])
def test_a_refresh_is_answered_with_what_it_counted(small: Api, body: bytes) -> None:
    answer = small.http.post("/api/v1/stats/refresh", content=body)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    shapes.StatsRefreshed.model_validate(content, strict=True)
    assert content["success"] is True
    assert (content["queues"] >= 2, content["partitions"] >= 3) == (True, True)


@pytest.mark.parametrize(
    "path",
    ["resources/queues/@", "resources/queues/@/depth", "status/queues/@", "resources/partitions?queue=@"],
)
def test_an_unknown_queue_is_not_found(small: Api, path: str) -> None:
    answer = small.http.get("/api/v1/" + path.replace("@", segment("no such/queue")))
    assert (answer.status_code, answer.json()["error"], answer.json()["code"]) == (404, "Queue not found", "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "resources/queues/%00",
        "resources/queues/%00/depth",
        "resources/queues/sm.one/depth?group=%00",
        "resources/partitions?queue=%00",
        "status/queues?queue=%00",
        "status/queues/%00",
    ],
)
def test_names_that_cannot_be_are_refused(small: Api, path: str) -> None:
    answer = small.http.get("/api/v1/" + path)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "bad_request"


@pytest.mark.parametrize(
    "path",
    ["resources/queues", "resources/namespaces", "resources/partitions", "status/queues", "status/queues/sm.one"],
)
@pytest.mark.parametrize("query", ["limit=x&offset=y", "limit=-5&offset=-7", "limit=&offset=", f"limit={10**30}"])
def test_pages_that_cannot_be_read_are_the_default(small: Api, path: str, query: str) -> None:
    assert small.http.get(f"/api/v1/{path}?{query}").status_code == 200


@pytest.fixture(scope="module")
def large(module_servers: MakeServer) -> Iterator[Api]:
    """A queue with more partitions than are counted on request, on a server that keeps its numbers by order only."""
    made = module_servers(QUEEN_ENGINE__STATISTICS_MS="3600000")
    made.start()
    with Api(made.url) as api:
        for first in range(0, MANY, 700):
            items = [
                {"queue": "big", "partition": f"p{number:04}", "payload": number, "transactionId": f"{turn}"}
                for number in range(first, first + 700)
                for turn in range(2)
            ]
            assert {one["status"] for one in api.push(items)} == {"queued"}
        batch = api.wait_pop("big", partitions=0, batch=100, consumerGroup="g")
        api.ack(batch["messages"][:10])
        yield api
        made.check_unharmed()


def test_above_the_bound_numbers_are_those_of_the_last_refresh(large: Api) -> None:
    refreshed = large.http.post("/api/v1/stats/refresh").json()
    assert (refreshed["queues"], refreshed["partitions"]) == (1, MANY)
    [listed] = told(large, shapes.QueueList, "resources/queues")["queues"]
    exact = {"total": 2 * MANY, "pending": 2 * MANY - 10, "processing": 90}
    assert (listed["partitions"], listed["messages"]) == (MANY, exact)
    large.push_to("big", ["more"], "p0000x")
    content = told(large, shapes.QueueList, "resources/queues")
    assert content["queues"][0]["messages"] == exact, "kept"
    assert content["statsAge"] > 0
    depth = told(large, shapes.QueueDepth, "resources/queues/big/depth", group="g", limit=10)
    assert (depth["processing"], len(depth["partitions"])) == (90, 10)
    assert depth["statsAge"] > 0
    assert depth["partitions"][1]["pending"] == 1, "of partitions, those of now"
    beyond = told(large, shapes.QueueDepth, "resources/queues/big/depth", offset=10_000)
    assert (beyond["pending"], beyond["partitions"]) == (exact["pending"], [])
    overview = told(large, shapes.Overview, "resources/overview")
    assert (overview["partitions"], overview["messages"]["pending"]) == (MANY, exact["pending"])
    assert overview["statsAge"] > 0
    large.http.post("/api/v1/stats/refresh")
    [listed] = told(large, shapes.QueueList, "resources/queues")["queues"]
    assert listed["messages"] == {**exact, "total": 2 * MANY + 1, "pending": 2 * MANY - 9}
    detail = told(large, shapes.QueueDetail, "resources/queues/big", limit=5)
    assert (detail["totals"]["total"], len(detail["partitions"])) == (2 * MANY + 1, 5)
