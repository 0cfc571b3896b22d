"""What lists cost on a large system: each GET route of the control plane, with its default page.

The server is filled by bulk statements straight into its tables, not through the API: queues, partitions, messages with
generate_series, and groups whose cursors stand at the beginning, in the middle or at the end. Then the numbers are
refreshed, and every GET route that the application's own OpenAPI page names is asked many times, one request at a time
on one connection, with the parameters that a path needs and no others. Routes that lease messages, wait or stream are
left out, and so is what has no path of its own to ask for; the result names them.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sys
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
import psycopg

from benchmarks.lib import shell
from benchmarks.lib.bulk import Size, fill
from benchmarks.lib.load import summary
from benchmarks.lib.measure import meter
from benchmarks.lib.options import whole
from benchmarks.lib.plan import Latency
from benchmarks.lib.record import Record
from benchmarks.lib.target import Target, TargetError
from benchmarks.lib.text import align, verdict_line

WARM_CALLS: Final = 5
TIMEOUT_S: Final = 120.0
NOT_LISTS: Final = re.compile(r"^/(health|metrics|docs|openapi|api/v1/pop)")


class Options(shell.Common, frozen=True, kw_only=True):
    queues: int
    partitions: int
    messages: int
    groups: int
    calls: int
    goal_ms: float


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route. `statuses` counts its answers; `skipped` says why it was not asked."""

    path: str
    asked: str
    skipped: str | None = None
    latency: Latency | None = None
    statuses: dict[str, int] = {}
    answer_bytes: int = 0
    kept: bool = False


class ListsRecord(Record, frozen=True, kw_only=True):
    """The record of this command; `kept` of a route: is its p99 within the goal?"""

    goal_ms: float
    fill_s: float
    refresh_s: float
    routes: list[Route]


def parse(arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="lists", description="Time of every list on a large system.")
    add = parser.add_argument
    add("--queues", type=whole(1, 1_000_000), default=10_000, metavar="N", help="queues (10000)")
    add("--partitions", type=whole(1, 10_000_000), default=100_000, metavar="N", help="in all (100000)")
    add("--messages", type=whole(1, 1 << 32), default=10_000_000, metavar="N", help="in all (10000000)")
    add("--groups", type=whole(1, 100), default=3, metavar="N", help="consumer groups of each queue (3)")
    add("--calls", type=whole(1, 100_000), default=200, metavar="N", help="of each route (200)")
    add("--goal-ms", type=float, default=50.0, metavar="MS", help="the p99 that each route should keep (50)")
    shell.add_common(parser, window_s=1.0, warmup_s=0.05, repeat=1, connections=2)
    options = Options(**vars(parser.parse_args(arguments)))
    fault = shell.fault(options)
    if not fault and not options.queues <= options.partitions <= options.messages:
        fault = "want --queues <= --partitions <= --messages"
    if not fault and options.url and not options.database_url:
        fault = "--url needs --database-url: the tables are filled past the server"
    if fault:
        parser.error(fault)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    return shell.run("lists", options, lambda: _measure(options))


class Answer(NamedTuple):
    """What one request brought."""

    status: int
    body: bytes
    took_ns: int


class Caller:
    """One connection that asks one thing after the other."""

    def __init__(self, target: Target) -> None:
        self._connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S)

    def call(self, path: str, method: str = "GET") -> Answer:
        """One request; the time is from its sending to the last byte of its answer."""
        began = time.perf_counter_ns()
        self._connection.request(method, path)
        answer = self._connection.getresponse()
        body = answer.read()
        return Answer(answer.status, body, time.perf_counter_ns() - began)

    def content(self, path: str, method: str = "GET") -> Any:
        """The JSON of an answer that must be 200. Raises TargetError."""
        answer = self.call(path, method)
        if answer.status != 200:
            raise TargetError(f"{method} {path} answered {answer.status}: {answer.body[:200].decode(errors='replace')}")
        return json.loads(answer.body)


def _measure(options: Options) -> shell.Outcome:
    head = shell.begin("lists", options)
    with shell.server(options) as target, meter(target) as pg:
        if target.dsn is None:
            raise TargetError("the server's database is not known; name it with --database-url")
        clock = time.monotonic()
        with psycopg.connect(target.dsn, autocommit=True) as connection:
            fill(connection, Size(options.queues, options.partitions, options.messages, options.groups))
        fill_s = time.monotonic() - clock
        print(f"lists: filled after {fill_s:.0f} s", file=sys.stderr, flush=True)
        if pg is not None:
            pg.checkpoint()
        caller = Caller(target)
        clock = time.monotonic()
        caller.content("/api/v1/stats/refresh", "POST")
        refresh_s = time.monotonic() - clock
        values = _values(caller)
        routes = [_route(caller, path, values, options) for path in _paths(caller)]
        facts = pg.facts() if pg is not None else None
    problems = [f"{one.path} answered {one.statuses}" for one in routes if set(one.statuses) - {"200", "404"}]
    record = ListsRecord(
        **head.fields(problems, facts), goal_ms=options.goal_ms, fill_s=fill_s, refresh_s=refresh_s, routes=routes
    )
    return shell.Outcome(record=record, text=_table(record))


def _paths(caller: Caller) -> list[str]:
    """Every path that the application's own page says can be read, but for those that are no lists."""
    paths = caller.content("/openapi.json")["paths"]
    return sorted(path for path, methods in paths.items() if "get" in methods and not NOT_LISTS.match(path))


def _values(caller: Caller) -> dict[str, str]:
    """What to put into the places of a path: things that there are."""
    queue = caller.content("/api/v1/resources/queues?limit=1&offset=0")["queues"][0]["name"]
    partition = caller.content(f"/api/v1/resources/queues/{quote(queue, safe='')}?limit=1")["partitions"][0]
    return {
        "queue": queue,
        "group": "group-0",
        "partition": partition["name"],
        "partitionid": partition["id"],
        "transactionid": "1-0",
        "name": "trace-1",
    }


def _route(caller: Caller, path: str, values: dict[str, str], options: Options) -> Route:
    names = re.findall(r"\{(\w+)", path)
    unknown = [name for name in names if name.replace("_", "").lower() not in values]
    if unknown:
        return Route(path=path, asked="", skipped=f"nothing is known to put for {', '.join(unknown)}")
    asked = re.sub(r"\{(\w+)[^}]*\}", lambda found: quote(values[found[1].replace("_", "").lower()], safe=""), path)
    for _ in range(WARM_CALLS):
        caller.call(asked)
    answers = [caller.call(asked) for _ in range(options.calls)]
    latency = summary([one.took_ns for one in answers])
    statuses: dict[str, int] = {}
    for one in answers:
        statuses[str(one.status)] = statuses.get(str(one.status), 0) + 1
    print(f"lists: {path} p99 {latency.p99_ms:.1f} ms", file=sys.stderr, flush=True)
    return Route(
        path=path,
        asked=asked,
        latency=latency,
        statuses=statuses,
        answer_bytes=max(len(one.body) for one in answers),
        kept=latency.p99_ms <= options.goal_ms,
    )


def _table(record: ListsRecord) -> str:
    rows = [["route", "p50 ms", "p99 ms", "max ms", "bytes", "status", f"p99 <= {record.goal_ms:g} ms"]]
    for one in record.routes:
        if one.latency is not None:
            figures = [f"{value:.1f}" for value in (one.latency.p50_ms, one.latency.p99_ms, one.latency.max_ms)]
            statuses = " ".join(one.statuses)
            rows.append([one.path, *figures, f"{one.answer_bytes:,}", statuses, "yes" if one.kept else "NO"])
    lines = align(rows)
    lines += [f"not asked: {one.path}: {one.skipped}" for one in record.routes if one.skipped]
    lines.append(
        f"filled in {record.fill_s:.0f} s by bulk statements; all numbers refreshed in {record.refresh_s:.1f} s"
    )
    missed = sum(1 for one in record.routes if one.latency is not None and not one.kept)
    lines.append(f"goal     {'kept by every route' if not missed else f'MISSED by {missed}'}")
    lines += [f"PROBLEM: {problem}" for problem in record.problems]
    lines.append(verdict_line(record.valid))
    return "\n".join(lines)


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
