"""Every call of the admin API."""

from __future__ import annotations

from harness import Missing, check, main, payloads, raises


async def fill(c, group="g"):
    """Three messages, of which the group has taken two."""
    await c.push(1, 2, 3)
    await c.take(2, group)


async def message_of(c):
    """A stored message, popped."""
    await c.push({"n": 1})
    [message] = await c.pop()
    return message


async def bury(c):
    """A dead letter; its message."""
    message = await message_of(c)
    assert (await c.queen.ack(message, "dlq", {"error": "broken"}))["success"] is True
    return message


@check("get_overview")
async def overview(c):
    await fill(c)
    found = await c.queen.admin.get_overview()
    assert found["queues"] >= 1
    assert {"total", "pending", "processing", "completed", "deadLetter"} <= set(found["messages"])


@check("get_namespaces")
async def namespaces(c):
    await c.queue.namespace("ns-" + c.name).create()
    found = await c.queen.admin.get_namespaces()
    [mine] = [one for one in found["namespaces"] if one["namespace"] == "ns-" + c.name]
    assert mine["queues"] == 1


@check("get_tasks")
async def tasks(c):
    await c.queue.task("t-" + c.name).create()
    found = await c.queen.admin.get_tasks()
    [mine] = [one for one in found["tasks"] if one["task"] == "t-" + c.name]
    assert mine["queues"] == 1


@check("list_queues")
async def queues(c):
    await c.push(1)
    found = await c.queen.admin.list_queues(search=c.name, limit=10, offset=0)
    [mine] = found["queues"]
    assert (mine["name"], mine["messages"]["total"]) == (c.name, 1)


@check("get_queue")
async def queue(c):
    await fill(c)
    found = await c.queen.admin.get_queue(c.name)
    assert (found["name"], found["totals"]["total"]) == (c.name, 3)
    assert [partition["name"] for partition in found["partitions"]] == ["Default"]
    assert found["options"]["leaseTime"] == 300


@check("get_queue of an unknown queue raises")
async def unknown_queue(c):
    await raises(c.queen.admin.get_queue(c.name), "not found")


@check("get_queue_depth", since="1.3.0")
async def depth(c):
    await fill(c)
    found = await c.queen.admin.get_queue_depth(c.name)
    assert (found["queue"], found["pending"], found["partitionsPending"]) == (c.name, 1, 1)


@check("get_queue_depth of a group", since="1.3.0")
async def depth_of_group(c):
    await fill(c)
    found = await c.queen.admin.get_queue_depth(c.name, "g")
    assert (found["group"], found["pending"], found["effectivePending"], found["conflation"]) == ("g", 1, 1, False)
    assert [(one["partition"], one["pending"]) for one in found["partitions"]] == [("Default", 1)]


@check("get_partitions")
async def partitions(c):
    await c.push(1, partition="one")
    found = await c.queen.admin.get_partitions(queue=c.name, limit=10)
    assert [(one["name"], one["queue"]) for one in found["partitions"]] == [("one", c.name)]


@check("clear_queue fails: no server has it")
async def clear(c):
    await c.push(1)
    try:
        await c.queen.admin.clear_queue(c.name)
    except Exception as error:
        assert "seek" in str(error) or getattr(error, "response", None).status_code == 404
    else:
        raise AssertionError("it did not fail")
    assert payloads(await c.pop()) == [1]


@check("list_messages")
async def messages(c):
    await c.push(1, 2, 3)
    found = await c.queen.admin.list_messages(queue=c.name, status="pending", limit=2)
    assert [one["data"] for one in found["messages"]] == [3, 2]
    assert found["messages"][0]["queue"] == c.name


@check("get_message")
async def message(c):
    popped = await message_of(c)
    found = await c.queen.admin.get_message(popped["partitionId"], popped["transactionId"])
    assert (found["data"], found["queue"], found["partition"]) == ({"n": 1}, c.name, "Default")


@check("get_message of an unknown one raises")
async def unknown_message(c):
    popped = await message_of(c)
    await raises(c.queen.admin.get_message(popped["partitionId"], "nobody"), "Message not found")


@check("delete_message")
async def delete_message(c):
    dead = await bury(c)
    answer = await c.queen.admin.delete_message(dead["partitionId"], dead["transactionId"])
    assert answer["success"] is True
    assert (await c.queue.dlq().get())["messages"] == []


@check("retry_message")
async def retry_message(c):
    dead = await bury(c)
    answer = await c.queen.admin.retry_message(dead["partitionId"], dead["transactionId"])
    assert answer["success"] is True
    assert await c.take(1) == [{"n": 1}]
    assert (await c.queue.dlq().get())["messages"] == []


@check("move_message_to_dlq fails: no server has it")
async def move(c):
    popped = await message_of(c)
    try:
        await c.queen.admin.move_message_to_dlq(popped["partitionId"], popped["transactionId"])
    except Exception as error:
        assert "dlq" in str(error) or getattr(error, "response", None).status_code == 404
    else:
        raise AssertionError("it did not fail")


@check("get_traces_by_name")
async def traces_by_name(c):
    found = await c.queen.admin.get_traces_by_name(c.name, limit=10, offset=0)
    assert found["traces"] == []


@check("get_trace_names")
async def trace_names(c):
    found = await c.queen.admin.get_trace_names(limit=10)
    assert isinstance(found["trace_names"], list)


@check("get_traces_for_message")
async def traces_for_message(c):
    popped = await message_of(c)
    found = await c.queen.admin.get_traces_for_message(popped["partitionId"], popped["transactionId"])
    assert found["traces"] == []


@check("get_status")
async def status(c):
    found = await c.queen.admin.get_status()
    if "pool" in found and "queues" not in found:
        raise Missing("GET /api/v1/status")
    assert {"queues", "messages", "throughput"} <= set(found)


@check("get_queue_stats")
async def queue_stats(c):
    await c.push(1)
    found = await c.queen.admin.get_queue_stats(queue=c.name, limit=10, offset=0)
    assert [one["name"] for one in found["queues"]] == [c.name]


@check("get_queue_detail")
async def queue_detail(c):
    await c.push(1)
    found = await c.queen.admin.get_queue_detail(c.name)
    assert found["queue"]["name"] == c.name
    assert [one["name"] for one in found["partitions"]] == ["Default"]


@check("get_analytics")
async def analytics(c):
    found = await c.queen.admin.get_analytics(interval="hour")
    assert isinstance(found["dataPoints"], list)


@check("list_consumer_groups")
async def groups(c):
    await fill(c, c.name)
    found = await c.queen.admin.list_consumer_groups()
    [mine] = [one for one in found if one["name"] == c.name]
    assert (mine["queueName"], mine["totalLag"]) == (c.name, 1)


@check("refresh_consumer_stats")
async def refresh(c):
    assert await c.queen.admin.refresh_consumer_stats() is not None


@check("get_consumer_group")
async def group(c):
    await fill(c, c.name)
    found = await c.queen.admin.get_consumer_group(c.name)
    [partition] = found[c.name]["partitions"]
    assert (partition["partition"], partition["offsetLag"]) == ("Default", 1)


@check("get_lagging_consumers")
async def lagging(c):
    await fill(c, c.name)
    found = await c.queen.admin.get_lagging_consumers(0)
    assert c.name in [one["consumer_group"] for one in found]


@check("delete_consumer_group_for_queue")
async def delete_for_queue(c):
    other = c.name + ".other"
    await c.push(1)
    await c.push(2, queue=other)
    assert await c.take(1, "g") == [1]
    assert await c.take(1, "g", other) == [2]
    answer = await c.queen.admin.delete_consumer_group_for_queue("g", c.name)
    assert answer["success"] is True
    assert await c.take(1, "g") == [1]
    assert await c.pop(group="g", queue=other) == []


@check("seek_consumer_group to the end")
async def seek_end(c):
    await fill(c)
    answer = await c.queen.admin.seek_consumer_group("g", c.name, {"toEnd": True})
    assert answer["success"] is True
    assert await c.pop(group="g") == []


@check("seek_consumer_group to a timestamp")
async def seek_time(c):
    await fill(c)
    answer = await c.queen.admin.seek_consumer_group("g", c.name, {"timestamp": "2020-01-01T00:00:00.000Z"})
    assert answer["success"] is True
    assert await c.take(3, "g") == [1, 2, 3]


@check("health")
async def health(c):
    assert (await c.queen.admin.health())["status"] == "healthy"


@check("metrics")
async def metrics(c):
    found = await c.queen.admin.metrics()
    assert {"messages", "database", "uptime", "requests"} <= set(found)


@check("get_system_metrics")
async def system_metrics(c):
    assert isinstance((await c.queen.admin.get_system_metrics())["replicas"], list)


@check("get_worker_metrics")
async def worker_metrics(c):
    assert isinstance((await c.queen.admin.get_worker_metrics())["timeSeries"], list)


@check("get_postgres_stats", until="1.3.0")
async def postgres_stats(c):
    assert isinstance(await c.queen.admin.get_postgres_stats(), dict)


@check("get_maintenance_mode", until="1.3.0")
async def maintenance(c):
    assert (await c.queen.admin.get_maintenance_mode())["maintenanceMode"] is False


@check("get_pop_maintenance_mode", until="1.3.0")
async def pop_maintenance(c):
    assert (await c.queen.admin.get_pop_maintenance_mode())["popMaintenanceMode"] is False


main()
