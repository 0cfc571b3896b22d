"""Status and analytics over HTTP: counts are those of what was done, at once, over all servers, after a restart."""

from __future__ import annotations

import json
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from queen.server.shapes import analytics, status
from queen.store.activity import Counts
from tests.support.api import Api
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg

SHAPES: dict[str, Any] = {
    "/api/v1/status": status.Status,
    "/api/v1/status/analytics": status.MessagesOverTime,
    "/api/v1/analytics/queue-lag": list[analytics.LagPoint],
    "/api/v1/analytics/queue-ops": analytics.QueueOps,
    "/api/v1/analytics/queue-parked-replicas": analytics.ParkedReplicas,
    "/api/v1/analytics/retention": analytics.Retention,
    "/api/v1/analytics/system-metrics": analytics.SystemMetrics,
    "/api/v1/analytics/worker-metrics": analytics.WorkerMetrics,
    "/api/v1/analytics/postgres-stats": analytics.PostgresStats,
}
TIMED = [path for path in SHAPES if not path.endswith("postgres-stats")]
FILTERED = [path for path in TIMED if not path.endswith(("system-metrics", "worker-metrics"))]


def sums(points: list[dict[str, Any]], *names: str) -> dict[str, int]:
    """The sums of some fields over a series: a test may run over the turn of a minute."""
    return {name: sum(point[name] for point in points) for name in names}


def ops(api: Api, queue: str | None = None) -> list[dict[str, Any]]:
    found = api.get("/api/v1/analytics/queue-ops", **({"queue": queue} if queue else {}))
    return list(found["series"])


def work(api: Api, queue: str) -> None:
    """Five messages in two pushes; one group completes three of them and fails one, another takes all at once."""
    api.push_to(queue, [1, 2, 3])
    api.push([{"queue": queue, "payload": n, "transactionId": f"more{n}", "partition": "other"} for n in range(2)])
    batch = api.pop(queue, consumerGroup="g", batch=10)
    assert batch is not None
    first, *rest = batch["messages"]
    api.ack([first])
    api.ack(rest[:1], "failed")
    other = api.pop(queue, consumerGroup="h", batch=10, partitions=10, autoAck="true")
    assert other is not None
    assert len(other["messages"]) == 5
    assert api.pop(queue, consumerGroup="h") is None


@pytest.mark.parametrize("path", SHAPES)
def test_every_field_is_a_declared_one(api: Api, path: str) -> None:
    TypeAdapter(SHAPES[path]).validate_python(api.get(path))


def test_counts_are_those_of_what_was_done(api: Api, queue: str) -> None:
    before = sums(ops(api), "pushMessages", "popMessages")
    work(api, queue)
    api.push_to(queue + "2", [1])
    series = ops(api, queue)
    assert {point["queueName"] for point in series} == {queue}
    names = ("pushRequests", "pushMessages", "popRequests", "popEmpty", "ackRequests", "ackFailed", "ackRejected")
    found = sums(series, *names, "ackSuccess", "popMessages", "transactions", "deadLetters")
    delivered = found.pop("popMessages")
    assert found == {
        "pushRequests": 2,
        "pushMessages": 5,
        "popRequests": 3,
        "popEmpty": 1,
        "ackRequests": 2,
        "ackSuccess": 6,
        "ackFailed": 1,
        "ackRejected": 0,
        "transactions": 0,
        "deadLetters": 0,
    }
    assert delivered in (7, 8), "five to one group, the messages of one partition to the other"
    assert sums(ops(api, queue + "2"), "pushMessages") == {"pushMessages": 1}
    after = sums(ops(api), "pushMessages", "popMessages")
    assert after["pushMessages"] - before["pushMessages"] == 6


def test_the_lag_of_a_delivery_is_seen(api: Api, queue: str) -> None:
    api.push_to(queue, [1])
    api.pop(queue)
    points = api.get("/api/v1/analytics/queue-lag", queue=queue)
    assert [(point["queueName"], point["popCount"], point["bucketMinutes"]) for point in points] == [(queue, 1, 1)]
    assert 0 <= points[0]["avgLagMs"] <= points[0]["maxLagMs"] < 60_000


def test_the_status_shows_throughput_and_totals_of_a_queue(api: Api, queue: str) -> None:
    work(api, queue)
    found = api.get("/api/v1/status", queue=queue)
    assert sums(found["throughput"], "ingested", "processed", "failed") == {"ingested": 5, "processed": 6, "failed": 1}
    assert found["pointCount"] == len(found["throughput"])
    assert found["queues"] == 1
    assert (found["messages"]["total"], found["deadLetterQueue"]) == (5, {"totalMessages": 0})
    assert found["errors"] == {"acksFailed": 1, "acksRejected": 0, "deadLetters": 0}


def test_the_status_of_everything_names_who_serves(api: Api) -> None:
    found = api.get("/api/v1/status")
    assert [(one["leading"], one["answering"]) for one in found["workers"]] == [(True, True)]
    assert found["pool"]["away"] == 0
    assert found["bucketMinutes"] == 1
    assert found["leases"]["active"] >= 0


def test_messages_over_time(api: Api, queue: str) -> None:
    api.push_to(queue, [1, 2])
    for interval in ("minute", "hour", "day"):
        found = api.get("/api/v1/status/analytics", queue=queue, interval=interval)
        assert sum(point["messages"] for point in found["dataPoints"]) == 2
        assert found["interval"] == interval


def test_queues_are_selected_by_namespace_and_task(api: Api, queue: str) -> None:
    for name in ("one", "two"):
        api.push_to(f"shop-activity.{name}", [1])
    api.push_to(queue, [1])
    for path in ("/api/v1/status", "/api/v1/status/analytics"):
        for filters, count in (({"namespace": "shop-activity"}, 2), ({"namespace": "shop-activity", "task": "one"}, 1)):
            found = api.get(path, **filters)
            points = found.get("throughput") or found["dataPoints"]
            assert sum(point.get("ingested", point.get("messages")) for point in points) == count


@pytest.mark.parametrize("path", FILTERED)
def test_an_unknown_queue_has_an_empty_series(api: Api, path: str) -> None:
    found = api.get(path, queue="nobody-made-this")
    series = found if isinstance(found, list) else found.get("series", found.get("throughput", found.get("dataPoints")))
    assert series == []


def test_the_process_itself_is_measured(server: EmbeddedServer, api: Api) -> None:
    found = api.get("/api/v1/analytics/system-metrics")
    (replica,) = found["replicas"]
    assert str(replica["port"]) == server.url.rsplit(":", 1)[1]
    metrics = replica["timeSeries"][-1]["metrics"]
    assert set(metrics) == {"cpu", "memory", "database", "eventLoop", "requests"}
    assert metrics["memory"]["rssBytes"]["last"] > 1 << 20
    assert api.get("/api/v1/analytics/system-metrics", hostname="elsewhere")["replicas"] == []
    assert api.get("/api/v1/analytics/system-metrics", workerId=7)["replicas"] == []
    assert len(api.get("/api/v1/analytics/system-metrics", workerId="seven")["replicas"]) == 1


def write_minute(server: EmbeddedServer, at: datetime, worker: int, rows: list[dict[str, Any]]) -> None:
    """A minute as another process would have written it."""
    whole = [{**dict.fromkeys(Counts._fields, 0), **row} for row in rows]
    server.query(
        "select record_activity(gen_random_uuid(), %s, %s::jsonb, 'other-machine', 7000, %s, '{}')",
        at,
        json.dumps(whole),
        worker,
    )


def test_what_others_wrote_is_shown_by_process_and_by_queue(server: EmbeddedServer, api: Api, queue: str) -> None:
    api.push_to(queue, [1])
    ((queue_id,),) = server.query("select queue_id from queues where name = %s", queue)
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
    for worker in (1, 2):
        row = {"queue_id": queue_id, "push_messages": 1000, "parked": worker}
        write_minute(server, minute, worker, [row, {"queue_id": 0, "messages_hidden": 5, "epochs_dropped": 1}])
    found = api.get("/api/v1/analytics/queue-parked-replicas", queue=queue)
    assert [(one["hostname"], one["workerId"], one["parkedCount"]) for one in found["series"]] == [
        ("other-machine", 1, 1.0),
        ("other-machine", 2, 2.0),
    ]
    assert {"hostname": "other-machine", "workerId": 2} in found["replicas"]
    assert sums(ops(api, queue), "pushMessages") == {"pushMessages": 2001}
    busiest = api.get("/api/v1/analytics/worker-metrics")["queues"][0]
    assert (busiest["queueName"], busiest["pushMessages"]) == (queue, 2000)
    assert queue in api.get("/api/v1/analytics/queue-ops")["queues"]
    retention = api.get("/api/v1/analytics/retention")
    assert (retention["totals"]["totalMsgs"], retention["totals"]["eventCount"]) == (10, 2)
    assert (retention["totals"]["evictionMsgs"], retention["series"][0]["totalMsgs"]) == (None, 10)


def test_what_is_older_than_a_day_is_shown_by_the_hour(server: EmbeddedServer, api: Api, queue: str) -> None:
    api.push_to(queue, [1])
    ((queue_id,),) = server.query("select queue_id from queues where name = %s", queue)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
    for number in (10, 20):
        write_minute(server, hour + timedelta(minutes=number), 0, [{"queue_id": queue_id, "push_messages": 60}])
    server.query("select roll_up_activity(86400000, 604800000, 1000)")
    times = {"from": hour.isoformat(), "to": (hour + timedelta(minutes=50)).isoformat()}
    found = api.get("/api/v1/analytics/queue-ops", queue=queue, **times)
    assert found["bucketMinutes"] == 60
    (point,) = found["series"]
    assert (point["pushMessages"], point["pushPerSecond"]) == (120, round(120 / 3600, 3))


def test_the_overview_has_the_rates_of_the_last_minutes(api: Api, queue: str) -> None:
    work(api, queue)
    throughput = api.get("/api/v1/resources/overview")["throughput"]
    assert throughput["ingestedPerSecond"] > 0
    assert throughput["processedPerSecond"] > 0


def test_the_history_tells_of_connections_memory_and_refusals(api: Api, queue: str) -> None:
    work(api, queue)
    found = api.get("/api/v1/status")
    connections = found["history"]["connections"]
    assert connections["sizeMax"] == found["pool"]["sizeMax"] == 16
    assert 1 <= connections["peakLastHour"] <= connections["peak"] <= 16
    for times in (connections["waits"], connections["holds"]):
        assert times["count"] == sum(times["counts"]) > 0
        assert times["p50Us"] <= times["p99Us"]
        assert len(times["boundsUs"]) == len(times["counts"])
    assert connections["holds"]["sumUs"] > 0
    assert found["history"]["outages"] == []
    assert found["history"]["statements"] == [], "no earlier hour has enough calls"
    memory = found["memory"]
    assert 0 < memory["rss"] <= memory["rssPeak"] < memory["machine"]
    assert memory["used"] <= memory["usedPeak"] <= memory["budget"]
    assert (memory["budgetSet"], memory["refused"], memory["closed"], memory["closings"]) == (False, 0, 0, 0)


def test_refused_requests_are_kept_with_their_code(api: Api) -> None:
    before = api.get("/api/v1/status")["refusedRequests"]["byCode"].get("bad_request", 0)
    assert api.http.post("/api/v1/push", content=b"{").status_code == 400
    found = api.get("/api/v1/status")["refusedRequests"]
    assert found["byCode"]["bad_request"] == before + 1
    assert (found["events"][-1]["verb"], found["events"][-1]["code"]) == ("push", "bad_request")


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "to=2026-13-01", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from=0001-01-01",
     "to=9999-12-31T23:59:59-14:00", "from=1980-01-01&to=2020-01-01"],
)  # fmt: skip
@pytest.mark.parametrize("path", TIMED)
def test_bad_times_are_refused(api: Api, path: str, query: str) -> None:
    answer = api.http.get(f"{path}?{query}")
    assert answer.status_code == 400, answer.text
    refusal = answer.json()
    assert refusal["code"] == "bad_request"
    assert refusal["error"].startswith("bad query: ")
    assert refusal["hint"]


@pytest.mark.parametrize(
    ("path", "status_code"),
    [
        ("/api/v1/status?queue=%00", 400),
        ("/api/v1/status?namespace=" + "n" * 256, 400),
        ("/api/v1/status/analytics?interval=week", 400),
        ("/api/v1/status/analytics?task=%00", 400),
        ("/api/v1/analytics/queue-lag?queue=" + "q" * 256, 400),
        ("/api/v1/analytics/queue-ops?queue=%00", 400),
        ("/api/v1/analytics/queue-parked-replicas?queue=%00", 400),
        ("/api/v1/analytics/retention?queue=%00", 400),
        ("/api/v1/analytics/system-metrics?hostname=%00", 400),
        ("/api/v1/analytics/system-metrics?workerId=-1", 200),
        ("/api/v1/analytics/system-metrics?workerId=" + "9" * 30, 200),
        ("/api/v1/analytics/queue-ops?queue=", 200),
        ("/api/v1/analytics/queue-ops?from=&to=", 200),
        ("/api/v1/analytics/nothing", 404),
    ],
)
def test_odd_filters(api: Api, path: str, status_code: int) -> None:
    answer = api.http.get(path)
    assert answer.status_code == status_code, answer.text
    if status_code != 200:
        assert set(answer.json()) == {"error", "code", "hint"}


@pytest.mark.parametrize(("hours", "minutes"), [(1, 1), (6, 5), (24, 15), (24 * 7, 60), (24 * 8, 360)])
def test_buckets_are_wider_the_longer_the_time(api: Api, hours: int, minutes: int) -> None:
    found = api.get("/api/v1/status", **_last(hours))
    assert found["bucketMinutes"] == minutes


def _last(hours: int) -> dict[str, str]:
    now = datetime.now(UTC)
    return {"from": (now - timedelta(hours=hours)).isoformat(), "to": now.isoformat()}


@pytest.fixture(scope="module")
def second(module_servers: MakeServer, server: EmbeddedServer) -> EmbeddedServer:
    """A second server on the database of `server`."""
    return module_servers(beside=server)


def test_work_of_another_server_counts_when_it_is_written_and_a_killed_one_loses_its_minute(
    server: EmbeddedServer, second: EmbeddedServer, api: Api, queue: str
) -> None:
    # What is written down at the turn of a minute is seen by all.
    wait_until(lambda: 1 < datetime.now(UTC).second < 50, "the turn of the minute to be over")
    api.push_to(queue, [1])
    second.start()
    with Api(second.url) as other:
        other.push([{"queue": queue, "payload": 2}, {"queue": queue, "payload": 3}])
        assert sums(ops(other, queue), "pushMessages") == {"pushMessages": 2}
    assert second.terminate() == 0, "an orderly end writes the running minute"
    assert sums(ops(api, queue), "pushMessages") == {"pushMessages": 3}
    second.start()
    with Api(second.url) as other:
        other.push([{"queue": queue, "payload": 4}])
    second.kill()
    assert sums(ops(api, queue), "pushMessages") == {"pushMessages": 3}
    wait_until(lambda: len(api.get("/api/v1/status")["workers"]) == 1, "the killed one to be given up")


def test_numbers_are_still_there_after_a_restart(make_server: MakeServer, queue: str) -> None:
    server = make_server()
    server.start()
    with Api(server.url) as api:
        work(api, queue)
    server.restart()
    with Api(server.url) as api:
        assert sums(ops(api, queue), "pushMessages", "ackSuccess") == {"pushMessages": 5, "ackSuccess": 6}
        wait_until(lambda: _starts(api) == ["running", "ended"], "both starts to be known")
        found = api.get("/api/v1/analytics/system-metrics")
        assert [len(replica["timeSeries"]) for replica in found["replicas"]] != []
        assert httpx.get(f"{server.url}/api/v1/analytics/queue-parked-replicas").json()["replicas"] != []
    server.check_unharmed()


def test_a_worker_that_was_replaced_is_told_of_with_its_cause(make_server: MakeServer) -> None:
    server = make_server("--workers", "2")
    server.start()
    (victim,) = re.findall(r"worker started worker=1 pid=(\d+)", server.output())
    for _ in range(20):
        httpx.post(f"{server.url}/api/v1/push", content=b"{")
    wait_until(lambda: _refused(server) == (20, 20, 20, {1, 2}), "both workers to tell of what they refused")
    os.kill(int(victim), signal.SIGKILL)
    with Api(server.url) as api:
        wait_until(lambda: api.get("/api/v1/status")["workerRestarts"]["total"] == 1, "the worker to be replaced")
        (event,) = api.get("/api/v1/status")["workerRestarts"]["events"]
        assert (event["worker"], event["how"]) == (1, "signal=SIGKILL")
        wait_until(lambda: len(_starts(api)) == 3, "the new worker to say that it serves")
        wait_until(lambda: "killed" in _starts(api), "the killed one to be given up")
        assert sorted(_starts(api)) == ["killed", "running", "running"]
    assert _refused(server) == (20, 20, 20, {1, 2}), "what the killed one refused is not forgotten"
    httpx.post(f"{server.url}/api/v1/push", content=b"{")
    wait_until(lambda: _refused(server)[:2] == (21, 21), "the new one to tell of what it refused")


def _refused(server: EmbeddedServer) -> tuple[int, int, int, set[int]]:
    """Bad requests that the instance tells of, in total, by the minute and by events; and the workers that had them.
    Asked on a new connection, which any worker may answer."""
    told = httpx.get(f"{server.url}/api/v1/status").raise_for_status().json()["history"]["refusals"]
    events = told["events"]
    return (
        told["totals"].get("bad_request", 0),
        sum(minute["counts"]["bad_request"] for minute in told["minutes"]),
        sum(event["count"] for event in events),
        {event["worker"] for event in events},
    )


def _starts(api: Api) -> list[str]:
    """What became of each start of a process."""
    return [
        "running" if start["running"] else "ended" if start["endedAt"] else "killed"
        for start in api.get("/api/v1/status")["history"]["starts"]
    ]
