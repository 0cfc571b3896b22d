"""What every timed command does around its measuring: common options, the server, facts, the file, exit codes.

Exit codes: 0 done, 2 wrong usage, 3 server not reachable, 5 not valid, 6 the ledger found wrong messages, 130 and
143 interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import msgspec
import psycopg

from benchmarks.lib import facts
from benchmarks.lib.options import seconds, whole
from benchmarks.lib.record import Record, default_path, save
from benchmarks.lib.target import Target, TargetError, attach, started

HIDDEN = frozenset({"url", "database_url", "output", "save", "page"})


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """Options that all of these commands have."""

    seconds: float
    warmup: float
    repeat: int
    connections: int
    payload_bytes: int
    stall: float
    seed: int
    url: str | None
    database_url: str | None
    server_args: list[str]
    output: Path | None
    save: bool

    def parameters(self) -> dict[str, Any]:
        """Those that a reader of the result needs; addresses and paths are not among them."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name not in HIDDEN}
        return {**shown, "server_started_by_us": self.url is None}


class Kept(Protocol):
    """What the frame of a command asks of its options."""

    @property
    def output(self) -> Path | None: ...
    @property
    def save(self) -> bool: ...
    def parameters(self) -> dict[str, Any]: ...


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a command hands back: its record, the lines for the terminal, and whether messages went wrong."""

    record: Record
    text: str
    wrong: bool = False


class Head(msgspec.Struct, frozen=True):
    """What is known before the measuring begins; `fields` are those of a Record that it can fill."""

    benchmark: str
    parameters: dict[str, Any]
    facts: dict[str, Any]
    started_at: str
    clock_s: float

    def fields(self, problems: list[str], postgres: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "started_at": self.started_at,
            "duration_s": round(time.monotonic() - self.clock_s, 1),
            "valid": not problems,
            "problems": problems,
            "parameters": self.parameters,
            "facts": {**self.facts, "postgres": postgres},
        }


def begin(benchmark: str, options: Kept) -> Head:
    started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Head(benchmark, options.parameters(), facts.collect(), started_at, time.monotonic())


def add_common(
    parser: argparse.ArgumentParser, *, window_s: float, warmup_s: float, repeat: int, connections: int
) -> None:
    add = parser.add_argument
    add("--seconds", type=seconds, default=window_s, metavar="S", help=f"length of a window ({window_s:g})")
    add("--warmup", type=seconds, default=warmup_s, metavar="S", help=f"before each window ({warmup_s:g})")
    add("--repeat", type=whole(1, 100), default=repeat, metavar="N", help=f"rounds ({repeat})")
    add("--connections", type=whole(2, 10_000), default=connections, metavar="N", help=f"in all ({connections})")
    add("--payload-bytes", type=whole(64, 1 << 20), default=265, metavar="N", help="JSON payload (265)")
    add("--stall", type=seconds, default=30.0, metavar="S", help="give up without any progress (30)")
    add("--seed", type=int, default=1, help="of the payloads (1)")
    add("--url", metavar="URL", help="a running server, http://HOST:PORT (default: start one)")
    add("--database-url", metavar="DSN", help="its database, for PostgreSQL's costs")
    add("--server-arg", dest="server_args", action="append", default=[], metavar="ARG", help="passed to queen serve")
    add("--output", type=Path, metavar="FILE", help="where the result goes")
    add("--no-save", dest="save", action="store_false", help="keep no result file")


def fault(options: Common) -> str | None:
    if options.url and options.server_args:
        return "--server-arg is for a server that we start, --url for one that runs"
    if options.database_url and not options.url:
        return "--database-url goes with --url; a server that we start has an embedded database"
    return None


@contextmanager
def server(options: Common) -> Iterator[Target]:
    """The running server that was named, or a new one on fresh data. Raises TargetError."""
    if options.url:
        yield attach(options.url, options.database_url)
    else:
        with started(options.server_args) as target:
            yield target


def run(name: str, options: Kept, work: Callable[[], Outcome]) -> int:
    """Measures, prints, saves; returns the exit code."""
    try:
        outcome = work()
    except (TargetError, psycopg.Error) as error:
        print(f"{name}: {str(error).strip()} (exit 3)", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print(f"{name}: interrupted, no result", file=sys.stderr)
        return 130
    print(outcome.text)
    if options.save:
        path = options.output or default_path(outcome.record)
        save(outcome.record, path)
        print(f"{name}: result in {path}", file=sys.stderr)
    if outcome.wrong:
        return 6
    return 0 if outcome.record.valid else 5


def obey_terminate() -> None:
    """SIGTERM leaves through every `finally`, so that the server is stopped."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)
