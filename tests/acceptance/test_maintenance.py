"""Maintenance of pops on two servers of one database, its routes, and what of push maintenance there is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.api import Api, data
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg

POP = "/api/v1/system/maintenance/pop"
PUSH = "/api/v1/system/maintenance"


@pytest.fixture(scope="module")
def other(server: EmbeddedServer, module_servers: MakeServer) -> EmbeddedServer:
    """A second server on the same database."""
    made = module_servers(beside=server)
    made.start()
    wait_until(lambda: made.metrics()["sizes"]["peers"] == 1, "both to know of each other")
    return made


@pytest.fixture(autouse=True)
def _off_afterwards(api: Api) -> Iterator[None]:
    yield
    turn(api, False)


def turn(api: Api, enabled: bool) -> dict[str, Any]:
    """Turn the maintenance of pops on or off."""
    answer = api.http.post(POP, json={"enabled": enabled})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["popMaintenanceMode"] is enabled
    assert ("ENABLED" if enabled else "DISABLED") in found["message"]
    return found


def test_while_it_is_on_pops_get_nothing_and_afterwards_everything(api: Api, queue: str) -> None:
    api.push_to(queue, [1, 2])
    turn(api, True)
    assert api.get(POP)["popMaintenanceMode"] is True
    assert api.get(PUSH)["popMaintenanceMode"] is True
    for more in ({}, {"autoAck": "true"}, {"consumerGroup": "new"}, {"wait": "true", "timeout": 300}):
        assert api.pop(queue, **more) is None
    assert api.pop(queue, "Default") is None
    assert api.pop_at("/api/v1/pop", namespace="q") is None
    api.push([{"queue": queue, "payload": 3}])
    turn(api, False)
    assert data(api.wait_pop(queue)) == [1, 2, 3]


def test_it_reaches_the_polls_of_another_server(api: Api, other: EmbeddedServer, queue: str) -> None:
    with Api(other.url) as far, ThreadPoolExecutor(1) as threads:
        poll = threads.submit(far.pop, queue, wait="true", timeout=60_000)
        wait_until(lambda: other.parked_polls() == 1, "the poll to be parked")
        since = time.monotonic()
        turn(api, True)
        assert poll.result() is None
        assert time.monotonic() - since < 30, "told, and not at the end of its 60 s"
        api.push_to(queue, ["held"])
        assert far.pop(queue) is None
        late = threads.submit(far.pop, queue, wait="true", timeout=60_000)
        wait_until(lambda: other.parked_polls() == 1, "the poll to be parked")
        turn(api, False)
        found = late.result()
        assert found is not None
        assert data(found) == ["held"]


def test_it_outlives_a_restart(make_server: MakeServer, queue: str) -> None:
    own = make_server()
    own.start()
    with Api(own.url) as api:
        api.push_to(queue, [1])
        turn(api, True)
    own.restart()
    with Api(own.url) as api:
        assert api.pop(queue) is None
        assert api.get(POP)["popMaintenanceMode"] is True
        turn(api, False)
        assert data(api.wait_pop(queue)) == [1]


def test_the_switches_are_described_as_they_stand(api: Api) -> None:
    assert api.get(PUSH) == {
        "maintenanceMode": False,
        "popMaintenanceMode": False,
        "bufferedMessages": 0,
        "bufferHealthy": True,
        "bufferStats": {
            "pendingCount": 0,
            "failedCount": 0,
            "dbHealthy": True,
            "failedFiles": {"count": 0, "totalBytes": 0, "totalMB": 0.0, "failoverCount": 0, "qos0Count": 0},
        },
    }


def test_push_maintenance_can_be_off_and_not_on(api: Api) -> None:
    off = api.http.post(PUSH, json={"enabled": False})
    assert off.status_code == 200
    assert off.json()["maintenanceMode"] is False
    assert "DISABLED" in off.json()["message"]
    on = api.http.post(PUSH, json={"enabled": True})
    assert (on.status_code, on.json()["code"]) == (400, "not_supported")
    assert on.json()["hint"]
    assert api.get(PUSH)["maintenanceMode"] is False


@pytest.mark.parametrize("path", [POP, PUSH])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"enabled":null}', b'{"enabled":"true"}', b'{"enabled":1}', b'{"enabled":[]}'], ids=str
)
def test_enabled_has_to_be_a_boolean(api: Api, path: str, body: bytes) -> None:
    answer = api.http.post(path, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "enabled (boolean) is required"
    assert answer.json()["code"] == "bad_request"


@pytest.mark.parametrize("body", [b"[]", b"5", b"{", b"\xff"], ids=repr)
def test_what_is_no_object_is_refused(api: Api, body: bytes) -> None:
    answer = api.http.post(POP, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert api.get(POP)["popMaintenanceMode"] is False
