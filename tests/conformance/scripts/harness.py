"""Runs the checks of one file inside the public client's own environment and prints one line of JSON for each.

A check is a coroutine `f(c)` with a name: `@check("what the client offers")`, at the top of a file `check_AREA.py` that
ends in `main()`. The name stands in the table of docs/clients.md. `since` and `until` say which versions of the client
offer it. All checks of a file run at once, each with a client and a queue of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
import uuid

import httpx

from queen import Queen

TIMEOUT_S = 60
AT_ONCE = 12
VERSION = tuple(int(part) for part in os.environ["CLIENT_VERSION"].split("."))

_checks = []


class Missing(Exception):
    """The server has no such route: the answer 404 with the code no_such_route, wherever the client put it."""


class Checking:
    """What one check works with."""

    def __init__(self, urls, number):
        self.url, self.urls, self.name = urls[0], urls, f"c{number}.{uuid.uuid4().hex[:12]}"
        self.clients = []

    @property
    def queen(self):
        """A client of the check's own, made on first use."""
        return self.clients[0] if self.clients else self.client(self.url)

    @property
    def queue(self):
        """A builder for the check's own queue."""
        return self.queen.queue(self.name)

    def client(self, *args, **options):
        """Another client, closed with the check."""
        made = Queen(*args, **options)
        self.clients.append(made)
        return made

    async def push(self, *payloads, partition="Default", queue=None):
        """Push payloads to the check's queue."""
        builder = self.queen.queue(queue or self.name).partition(partition)
        return await builder.push([{"data": payload} for payload in payloads])

    async def pop(self, count=100, group=None, partition=None, queue=None):
        """Pop at most `count` messages without waiting."""
        builder = self.queen.queue(queue or self.name).batch(count).wait(False)
        if group:
            builder = builder.group(group)
        if partition:
            builder = builder.partition(partition)
        return await builder.pop()

    async def take(self, count, group=None, queue=None):
        """Pop until `count` messages came, and acknowledge them; their payloads."""
        found, ends_at = [], time.monotonic() + 30
        while len(found) < count:
            assert time.monotonic() < ends_at, f"{len(found)} of {count} came"
            messages = await self.pop(count, group, queue=queue)
            if not messages:
                await asyncio.sleep(0.05)
                continue
            found += payloads(messages)
            answer = await self.queen.ack(messages, True, {"group": group} if group else None)
            assert answer["success"], answer
        return found

    async def subscribed(self, group):
        """Wait until the server knows the group on the check's queue."""
        async with httpx.AsyncClient(base_url=self.url) as http:
            ends_at = time.monotonic() + 30
            while self.name not in (await http.get(f"/api/v1/consumer-groups/{group}")).text:
                assert time.monotonic() < ends_at, f"{group} did not come to {self.name}"
                await asyncio.sleep(0.02)

    async def pending(self, queue=None):
        """How many messages of the queue wait for its slowest group."""
        return (await self.queen.admin.get_queue(queue or self.name))["totals"]["pending"]

    async def close(self):
        for client in self.clients:
            await client.close()


def check(name, since=None, until=None):
    """Take a coroutine as a check, when this version of the client offers it."""

    def take(function):
        offered = (since is None or number(since) <= VERSION) and (until is None or number(until) >= VERSION)
        if offered:
            _checks.append((name, function))
        return function

    return take


def number(version):
    """A version as something to compare."""
    return tuple(int(part) for part in version.split("."))


def payloads(messages):
    """What the messages carry."""
    return [message["data"] for message in messages]


def raises(call, *words):
    """Await a call that must fail; its error, whose text holds all these words."""

    async def run():
        try:
            answer = await call
        except Exception as error:
            refuse_missing(error)
            assert all(word in str(error) for word in words), f"{error!r} does not say {words}"
            return error
        raise AssertionError(f"it did not fail: {answer!r}")

    return run()


def refuse_missing(error):
    """Turn a 404 for a missing route into Missing."""
    response = getattr(error, "response", None)
    if response is None or response.status_code != 404 or "no_such_route" not in response.text:
        return
    raise Missing(f"{error.request.method} {httpx.URL(error.request.url).path}") from error


def main():
    """Run the checks of this process and print their results."""
    urls = sys.argv[1].split(",")
    wanted = set(sys.argv[2:])
    asyncio.run(_run_all(urls, [one for one in _checks if not wanted or one[0] in wanted]))


async def _run_all(urls, checks):
    gate = asyncio.Semaphore(AT_ONCE)

    async def run(place, name, function):
        async with gate:
            result = {"name": name, **await _run(Checking(urls, place), function)}
        sys.stdout.write("RESULT " + json.dumps(result) + "\n")
        sys.stdout.flush()

    await asyncio.gather(*(run(place, *one) for place, one in enumerate(checks)))


async def _run(checking, function):
    try:
        await asyncio.wait_for(function(checking), TIMEOUT_S)
        return {"outcome": "works"}
    except Missing as error:
        return {"outcome": "missing", "detail": str(error)}
    except Exception as error:
        try:
            refuse_missing(error)
        except Missing as missing:
            return {"outcome": "missing", "detail": str(missing)}
        return {"outcome": "fails", "detail": traceback.format_exc()[-4000:]}
    finally:
        await checking.close()
