"""The public Python client, unchanged: its calls about messages, dead letters and traces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.fix_public_client import PublicClient
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg

_SCRIPT = """
import asyncio, json, sys
from queen import Queen

async def main(url, name):
    found = {}
    async with Queen(url) as queen:
        admin, queue = queen.admin, queen.queue(name)
        await queue.create()
        await queue.push([{"transactionId": f"t{n}", "data": {"n": n}} for n in range(3)])

        async def handler(message):
            found.setdefault("traced", []).append(
                await message["trace"]({"traceName": ["all", message["transactionId"]], "data": {"step": 1}}))
        # One at a time: the client's trace() means the last message of a batch.
        await queen.queue(name).group("g").batch(1).each().limit(3).consume(handler)

        listed = await admin.list_messages(queue=name, limit=2)
        found["listed"] = [[one["transactionId"], one["status"]] for one in listed["messages"]]
        partition = listed["messages"][0]["partitionId"]
        found["shown"] = (await admin.get_message(partition, "t0"))["payload"]
        found["of_message"] = (await admin.get_traces_for_message(partition, "t1"))["traces"][0]["trace_names"]
        found["by_name"] = (await admin.get_traces_by_name("all", limit=2))["total"]
        names = (await admin.get_trace_names())["trace_names"]
        found["names"] = [[one["trace_name"], one["trace_count"], one["message_count"]] for one in names]

        (message,) = await queue.batch(1).pop()
        await queen.ack(message, "dlq", {"error": "poison"})
        found["dead"] = (await queue.dlq().get())["messages"][0]["errorMessage"]
        found["retried"] = (await admin.retry_message(partition, "t0"))["result"]
        found["left"] = (await queue.dlq().get())["total"]
        found["deleted"] = (await admin.delete_message(partition, "t1"))["success"]
        found["rest"] = [one["data"]["n"] for one in await queue.batch(10).pop()]
        try:
            await admin.get_message(partition, "t1")
        except Exception as error:
            found["gone"] = str(error)
    print("RESULT", json.dumps(found))

asyncio.run(main(*sys.argv[1:]))
"""


def test_the_public_client_looks_at_messages_and_traces(
    server: EmbeddedServer, public_client: PublicClient, queue: str
) -> None:
    done = public_client.run(_SCRIPT, server.url, queue)
    assert done.returncode == 0, done.stderr + done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    assert [one["success"] for one in found.pop("traced")] == [True] * 3
    assert "Message not found" in found.pop("gone")
    assert found == {
        "listed": [["t2", "completed"], ["t1", "completed"]],
        "shown": {"n": 0},
        "of_message": ["all", "t1"],
        "by_name": 3,
        "names": [["all", 3, 3], ["t0", 1, 1], ["t1", 1, 1], ["t2", 1, 1]],
        "dead": "poison",
        "retried": "moved",
        "left": 0,
        "deleted": True,
        "rest": [2, 0],
    }
