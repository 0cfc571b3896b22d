"""`queen produce`: push generated messages, or the lines of a file or a pipe. Parses, calls, sums up."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from queen.cli import console
from queen.cli.client_options import (
    URL_DEFAULT,
    CountOption,
    DurationOption,
    ProgressOption,
    QueueOption,
    QuietOption,
    RetryForOption,
    UrlOption,
    rate,
    size,
)
from queen.cli.options import ConfigOption, JsonOption
from queen.errors import SettingsError

if TYPE_CHECKING:
    from queen.cli.traffic.producer import Pace
    from queen.cli.traffic.session import Ended
    from queen.cli.traffic.source import Chunk
    from queen.cli.traffic.tally import Tally

TARGET_PER_S = 10_000
_ENDLESS_RATE = 1_000.0
_PARTITIONS = 10
_SIZE_MAX = 16 * 1024 * 1024

FileOption = Annotated[
    str | None,
    typer.Option("--file", "-f", metavar="FILE", help="Push each line of this file; - is standard input."),
]
FormatOption = Annotated[
    Literal["auto", "ndjson", "lines"],
    typer.Option("--format", help="ndjson: a line is the JSON payload; lines: a line becomes a JSON text."),
]
PartitionsOption = Annotated[
    int | None,
    typer.Option(
        "--partitions",
        metavar="N",
        min=1,
        max=1_000_000,
        help="Spread over partitions p0 to pN-1 in turn. Default: 10; with --file one partition, so order is kept.",
    ),
]
PartitionByOption = Annotated[
    str | None,
    typer.Option("--partition-by", metavar="FIELD", help="With --file: the partition is this field's value (a.b.c)."),
]
PartitionDefaultOption = Annotated[
    str | None,
    typer.Option("--partition-default", metavar="NAME", help="The partition of lines without that field."),
]
BatchOption = Annotated[
    int | None,
    typer.Option("--batch", metavar="N", min=1, max=10_000, help="Most messages a push. Default: 100; high-perf 500."),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option("--concurrency", metavar="N", min=1, max=256, help="Pushes in flight. Default: 4; high-perf 8."),
]
RateOption = Annotated[
    float | None,
    rate(
        "--rate", "Most messages a second. Default: no limit; 1000/s when nothing else ends the run, save in high-perf."
    ),
]
SizeOption = Annotated[int, size("--size", "Bytes of a generated payload, such as 256 or 4KiB. Default: 256.")]
HighPerfOption = Annotated[
    bool | None,
    typer.Option(
        "--high-perf/--no-high-perf",
        help="Larger batches, more in flight, no rate limit. Default: HIGH_PERF or the settings file, else off.",
        show_default=False,
    ),
]


def produce(
    queue: QueueOption,
    file: FileOption = None,
    format: FormatOption = "auto",
    partitions: PartitionsOption = None,
    partition_by: PartitionByOption = None,
    partition_default: PartitionDefaultOption = None,
    size: SizeOption = 256,
    batch: BatchOption = None,
    concurrency: ConcurrencyOption = None,
    rate: RateOption = None,
    count: CountOption = None,
    duration: DurationOption = None,
    high_perf: HighPerfOption = None,
    url: UrlOption = URL_DEFAULT,
    retry_for: RetryForOption = 30_000,
    progress: ProgressOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Push messages: generated ones, or each line of a file or a pipe.

    Without --file it makes JSON payloads until --count, --duration or Ctrl-C. High-performance mode (--high-perf or
    HIGH_PERF=true) sends larger batches with more in flight and aims at 10,000 messages a second and more.
    The order of each partition is the order of the input. The summary goes to standard error, with --json to
    standard output. Exit code 1: the server refused some messages.

    Examples: queen produce --queue demo --count 10000; queen produce --queue flights --file flights.ndjson
    --partition-by origin
    """
    from queen.cli.traffic.producer import Pace, Producer
    from queen.cli.traffic.progress import Progress
    from queen.cli.traffic.session import Link, run_session
    from queen.cli.traffic.tally import Tally

    _check_usage(file, partitions, partition_by, partition_default, size)
    fast = _is_high_perf(high_perf, config)
    endless = file is None and count is None and duration is None
    pace = Pace(
        batch=batch or (500 if fast else 100),
        concurrency=concurrency or (8 if fast else 4),
        rate=rate or (_ENDLESS_RATE if endless and not fast else None),
        count=count,
        duration_s=None if duration is None else duration / 1000,
        linger_s=0.02 if fast else 0.05,
    )
    tally = Tally("push")
    interval_s = None if progress is None else progress / 1000
    shown = None if quiet else Progress(tally, "messages", "push", interval_s)
    with _source(queue, file, format, partitions, partition_by, partition_default, size) as source:
        ended = run_session(
            Link(url, pace.concurrency, retry_for),
            lambda client, stop: Producer(client, pace, tally, stop).run(source),
            shown,
        )
    target = TARGET_PER_S if fast and rate is None else None
    _sum_up(_summary(queue, tally, ended, pace, target, from_file=file is not None), tally, quiet, as_json)
    _finish(ended, tally)


def _check_usage(
    file: str | None, partitions: int | None, partition_by: str | None, partition_default: str | None, size: int
) -> None:
    if partition_by is not None and file is None:
        raise typer.BadParameter("--partition-by needs --file: generated messages are spread by --partitions")
    if partition_by is not None and partitions is not None:
        raise typer.BadParameter("--partitions and --partition-by exclude each other")
    if partition_default is not None and partition_by is None:
        raise typer.BadParameter("--partition-default goes with --partition-by")
    if not 0 < size <= _SIZE_MAX:
        raise typer.BadParameter("--size is from 1 byte to 16MiB")


def _is_high_perf(flag: bool | None, config: Any) -> bool:
    """The setting engine.high_perf: flag, HIGH_PERF, or file. A producer has no pool, so `auto` means off."""
    from queen.settings import resolve

    return bool(resolve({"engine.high_perf": flag}, config_path=config).settings.engine.high_perf)


@contextmanager
def _source(
    queue: str,
    file: str | None,
    format: Literal["auto", "ndjson", "lines"],
    partitions: int | None,
    partition_by: str | None,
    partition_default: str | None,
    size: int,
) -> Iterator[AsyncIterator[Chunk]]:
    """The stream of messages; an opened file is closed at the end."""
    if file is None:
        from queen.cli.traffic.generated import generated

        yield generated(queue, partitions or _PARTITIONS, size)
        return
    from queen.cli.traffic.lines import LineOptions, line_messages

    options = LineOptions(queue, format, partition_by, partition_default, partitions)
    descriptor = _open(file)
    try:
        yield line_messages(descriptor, "standard input" if file == "-" else file, options)
    finally:
        if file != "-":
            os.close(descriptor)


def _open(file: str) -> int:
    if file == "-":
        return sys.stdin.fileno()
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from error
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SettingsError(f"cannot read {file}: it is a directory")
    return descriptor


def _summary(
    queue: str, tally: Tally, ended: Ended, pace: Pace, target: int | None, *, from_file: bool
) -> dict[str, Any]:
    """What happened, as one object. `unsent` are lines that were read and not sent; made-up messages don't count."""
    from queen.cli.traffic.tally import per_second

    seconds, messages = tally.seconds(), tally.counts["messages"]
    rate_per_s = per_second(messages, seconds)
    summary: dict[str, Any] = {
        "schema_version": 1,
        "command": "produce",
        "queue": queue,
        "ended_by": ended.reason or "done",
        "messages": messages,
        **{name: tally.counts[name] for name in ("queued", "duplicate", "buffered", "failed", "unknown")},
        "unsent": tally.counts["unsent"] if from_file else 0,
        "duration_ms": round(seconds * 1000),
        "rate_per_s": round(rate_per_s, 1),
        "retries": ended.retries,
        "batch": pace.batch,
        "concurrency": pace.concurrency,
        "rate_per_s_max": pace.rate,
        "push": tally.requests["push"].summary(),
        "errors": dict(tally.errors),
    }
    if target is not None:
        summary |= {"target_per_s": target, "target_reached": rate_per_s >= target}
    return summary


def _sum_up(summary: dict[str, Any], tally: Tally, quiet: bool, as_json: bool) -> None:
    if as_json:
        console.put_json(summary)
    never_answered = summary["ended_by"] == "error" and not summary["push"]["requests"] and not summary["failed"]
    if quiet or as_json or never_answered:
        return
    sent = f"{summary['messages']} messages to {summary['queue']} in {summary['duration_ms'] / 1000:.1f} s"
    console.say(f"produced {sent}: {summary['rate_per_s']} msg/s")
    counts = ", ".join(f"{name} {summary[name]}" for name in ("duplicate", "buffered", "failed", "unknown", "retries"))
    console.say(f"push: {tally.requests['push'].text()}; {counts}")
    if summary["unsent"]:
        console.say(f"not sent: {summary['unsent']} messages were read, but not sent")
    for text, times in tally.errors.items():
        console.say(f"failed: {times} × {text}")
    if "target_per_s" in summary:
        word = "reached" if summary["target_reached"] else "missed"
        console.say(f"target: {word}, {summary['rate_per_s']} of {summary['target_per_s']} msg/s")


def _finish(ended: Ended, tally: Tally) -> None:
    """The exit code: an error's, a signal's, or 1 when messages were refused."""
    if ended.error is not None:
        raise ended.error
    if ended.exit_code or tally.counts["failed"]:
        raise typer.Exit(ended.exit_code or console.FOUND)
