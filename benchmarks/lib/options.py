"""The command line of hotpath: names, defaults, bounds. It starts nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.lib.traffic import PARTITIONS_MAX

SIZE_MAX = 1000
STAGES = ("push", "drain", "life")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. `compare` excludes everything else."""

    sizes: list[int]
    stages: list[str]
    partitions: int
    spread: int
    connections: int
    seconds: float
    warmup: float
    repeat: int
    payload_bytes: int
    backlog_batches: int
    messages_max: int
    settle: float
    stall: float
    group: str
    seed: int
    url: str | None
    database_url: str | None
    server_args: list[str]
    output: Path | None
    save: bool
    compare: list[Path] | None

    def parameters(self) -> dict[str, Any]:
        """Those that a reader of the result needs; addresses and paths are not among them."""
        hidden = {"url", "database_url", "output", "save", "compare"}
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name not in hidden}
        return {**shown, "server_started_by_us": self.url is None}


def parse(arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = _parser()
    values = vars(parser.parse_args(arguments))
    options = Options(**values)
    fault = _fault(options)
    if fault:
        parser.error(fault)
    return options


def _fault(options: Options) -> str | None:
    if options.spread > options.partitions:
        return f"--spread {options.spread} is above --partitions {options.partitions}"
    if options.connections < 2 and "life" in options.stages:
        return "stage life needs --connections 2 or more: one half pushes, the other consumes"
    if options.url and options.server_args:
        return "--server-arg is for a server that we start, --url for one that runs"
    if options.database_url and not options.url:
        return "--database-url goes with --url; a server that we start has an embedded database"
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hotpath",
        description="Cost of the whole life of a message: push, pop, ack.",
        epilog="Example: hotpath --sizes 1,100 --seconds 4 --repeat 1. Results go to benchmarks/results/.",
    )
    _add_load(parser)
    _add_measure(parser)
    _add_target(parser)
    return parser


def _add_load(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--sizes",
        type=numbers(1, SIZE_MAX),
        default=[1, 10, 100, 1000],
        metavar="N,…",
        help="messages a request (1,10,100,1000)",
    )
    add("--stages", type=_stages, default=list(STAGES), metavar="S,…", help="of push,drain,life (all)")
    add("--partitions", type=whole(1, PARTITIONS_MAX), default=1000, metavar="N", help="partitions of the queue (1000)")
    add("--spread", type=whole(1, SIZE_MAX), default=1, metavar="N", help="partitions in one request (1)")
    add("--connections", type=whole(1, 10_000), default=64, metavar="N", help="connections of the generator (64)")
    add("--payload-bytes", type=whole(64, 1 << 20), default=265, metavar="N", help="JSON payload (265)")
    add(
        "--backlog-batches",
        type=whole(1, 1 << 20),
        default=128,
        metavar="N",
        help="pushers pause above it, life (128)",
    )
    add("--group", default="", help="consumer group (none: queue mode)")
    add("--seed", type=int, default=1, help="of the payloads (1)")


def _add_measure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--seconds", type=seconds, default=8.0, metavar="S", help="length of a window (8)")
    add("--warmup", type=seconds, default=2.0, metavar="S", help="before each window (2)")
    add("--repeat", type=whole(1, 100), default=3, metavar="N", help="windows a cell (3)")
    add("--messages-max", type=whole(1, 1 << 32), default=1_000_000, metavar="N", help="a window ends there (1000000)")
    add("--settle", type=float, default=11.0, metavar="S", help="wait for exact commit counts after a size (11; 0: no)")
    add("--stall", type=seconds, default=30.0, metavar="S", help="give up without any progress (30)")
    add("--output", type=Path, metavar="FILE", help="where the result goes")
    add("--no-save", dest="save", action="store_false", help="keep no result file")
    add("--compare", nargs=2, type=Path, metavar=("A", "B"), help="only compare two results")


def _add_target(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--url", metavar="URL", help="a running server, http://HOST:PORT (default: start one)")
    add("--database-url", metavar="DSN", help="its database, for PostgreSQL's costs")
    add("--server-arg", dest="server_args", action="append", default=[], metavar="ARG", help="passed to queen serve")


def whole(least: int, most: int) -> Any:
    def parse_whole(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return value

    parse_whole.__name__ = "whole number"
    return parse_whole


def seconds(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.05 and 3600")
    return value


def numbers(least: int, most: int) -> Any:
    """Whole numbers between commas."""
    check = whole(least, most)

    def parse_numbers(text: str) -> list[int]:
        return [check(part) for part in text.split(",")]

    parse_numbers.__name__ = "list of whole numbers"
    return parse_numbers


def _stages(text: str) -> list[str]:
    parts = text.split(",")
    for part in parts:
        if part not in STAGES:
            raise argparse.ArgumentTypeError(f"no stage {part!r}; there are {', '.join(STAGES)}")
    return parts
