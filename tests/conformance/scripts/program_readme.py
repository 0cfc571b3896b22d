"""Runs blocks of the client's README, given as JSON on the standard input: {place: code}. URL [batch=1].

A block stands alone: it gets `queen`, a `message` it may settle, and stand-ins for the functions that the README
leaves to its reader; each queue that it names holds a few messages. A consumer there never ends, so consumers that are
idle for a moment end here, by the defaults that the client itself exports. Prints `RESULT {"place", "error"}` for each.

With `batch=1` a builder starts with `batch(1)`, which is what the README gives as the default.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import sys
import traceback

from queen import CONSUME_DEFAULTS, Queen

CONSUME_DEFAULTS["idle_millis"] = 150
CONSUME_DEFAULTS["timeout_millis"] = 150
TIMEOUT_S = 30
PAYLOAD = {"orderId": "1", "total": 2, "task": "x"}


class Documented(Queen):
    """A client whose batch is one until a program says another."""

    def queue(self, name=None):
        return super().queue(name).batch(1)


async def main(url, batch=""):
    for place, code in json.load(sys.stdin).items():
        error = await _run(Documented if batch else Queen, url, code)
        sys.stdout.write("RESULT " + json.dumps({"place": place, "error": error}) + "\n")


async def _run(kind, url, code):
    queues = sorted(set(re.findall(r"queue\('([\w-]+)'\)", code.replace('"', "'")))) or ["alone"]
    async with Queen(url) as feeder, kind(url) as queen:
        try:
            await asyncio.gather(*(_fill(queen, queue) for queue in queues))
            messages = await queen.queue(queues[0]).batch(3).pop()
            called = []
            namespace = {
                "asyncio": asyncio,
                "Queen": Queen,
                "queen": queen,
                "client": queen,
                "url": url,
                "processed_result": {"ok": True},
                **dict(zip(("message", "msg1", "msg2", "msg3"), [messages[0], *messages], strict=False)),
                **{name: _stand_in(name, called) for name in _unknown(code)},
            }
            running = [asyncio.wait_for(_execute(code, namespace), TIMEOUT_S)]
            if ".pop()" in code and ".consume(" in code:
                running.append(_feed(feeder, queues))
            await asyncio.gather(*running)
            stand_ins = [name for name in _unknown(code) if name != "handler"]
            if stand_ins and not called:
                return f"none of {stand_ins} was called"
            return None
        except Exception:
            return traceback.format_exc()[-3000:]


async def _fill(queen, queue):
    """A queue with a few messages in each of a few partitions."""
    await queen.queue(queue).delete()
    await asyncio.gather(*(_push(queen, queue, f"p{number}") for number in range(6)))


async def _feed(queen, queues):
    """A few messages more for blocks that take all there are before they consume."""
    for number in range(5):
        await asyncio.sleep(0.1)
        await asyncio.gather(*(_push(queen, queue, f"later{number}") for queue in queues))


async def _push(queen, queue, partition):
    await queen.queue(queue).partition(partition).push([{"data": PAYLOAD} for _ in range(3)])


async def _execute(code, namespace):
    compiled = compile(code, "README", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, namespace)
    if inspect.isawaitable(result):
        await result


def _stand_in(name, called):
    async def stand_in(*args):
        called.append(name)

    return stand_in


def _unknown(code):
    """The functions that a block awaits and does not define."""
    tree = compile(code, "README", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)}
    used = {
        node.value.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
    }
    passed = {
        argument.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "consume"
        for argument in node.args
        if isinstance(argument, ast.Name)
    }
    return sorted((used | passed) - defined)


asyncio.run(main(*sys.argv[1:]))
