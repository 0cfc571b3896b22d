"""`queen produce`: push generated messages, or the lines of a file or a pipe. Parses, calls, sums up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
)
from queen.cli.options import ConfigOption, JsonOption
from queen.cli.produce_options import (
    BatchOption,
    ConcurrencyOption,
    CsvDelimiterOption,
    CsvTypesOption,
    DryRunOption,
    FileOption,
    Format,
    FormatOption,
    HighPerfOption,
    PartitionByOption,
    PartitionDefaultOption,
    PartitionsOption,
    RateOption,
    SizeOption,
    TargetOption,
    TransactionIdDefaultOption,
    TransactionIdFromOption,
)

if TYPE_CHECKING:
    from queen.cli.traffic.producer import Pace
    from queen.cli.traffic.session import Ended
    from queen.cli.traffic.tally import Tally

TARGET_PER_S = 10_000
_ENDLESS_RATE = 1_000.0
_PARTITIONS = 10
_SIZE_MAX = 16 * 1024 * 1024


def produce(
    queue: QueueOption,
    file: FileOption = None,
    format: FormatOption = "auto",
    partitions: PartitionsOption = None,
    partition_by: PartitionByOption = None,
    partition_default: PartitionDefaultOption = None,
    transaction_id_from: TransactionIdFromOption = None,
    transaction_id_default: TransactionIdDefaultOption = None,
    csv_delimiter: CsvDelimiterOption = None,
    csv_types: CsvTypesOption = False,
    size: SizeOption = 256,
    batch: BatchOption = None,
    concurrency: ConcurrencyOption = None,
    rate: RateOption = None,
    target: TargetOption = None,
    count: CountOption = None,
    duration: DurationOption = None,
    high_perf: HighPerfOption = None,
    dry_run: DryRunOption = False,
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
    standard output. Exit code 1: the server refused some messages, a line cannot be sent, or --target was missed.

    Examples: queen produce --queue demo --count 10000; queen produce --queue flights --file flights.ndjson
    --partition-by origin; queen produce --queue orders --file orders.csv --format csv --transaction-id-from order
    """
    from queen.cli.traffic.dry_run import preview
    from queen.cli.traffic.fields import TransactionIds
    from queen.cli.traffic.files import check_files, file_messages
    from queen.cli.traffic.generated import generated
    from queen.cli.traffic.lines import LineOptions
    from queen.cli.traffic.producer import Pace, Producer
    from queen.cli.traffic.progress import Progress
    from queen.cli.traffic.session import Link, run_session
    from queen.cli.traffic.tally import Tally, verdict

    _check_usage(file, partitions, partition_by, partition_default, size)
    _check_input(file, format, transaction_id_from, transaction_id_default, csv_delimiter, csv_types)
    check_files(file or [])
    if target is not None and rate is not None:
        raise typer.BadParameter("--rate and --target exclude each other: a target is a rate with a verdict")
    fast = _is_high_perf(high_perf, config)
    endless = not file and count is None and duration is None
    pace = Pace(
        batch=batch or (500 if fast else 100),
        concurrency=concurrency or (8 if fast else 4),
        rate=target or rate or (_ENDLESS_RATE if endless and not fast else None),
        count=count,
        duration_s=None if duration is None else duration / 1000,
        linger_s=0.02 if fast else 0.05,
    )
    tally = Tally("push")
    interval_s = None if progress is None else progress / 1000
    shown = None if quiet else Progress(tally, "messages", "push", interval_s)
    ids = TransactionIds(transaction_id_from, transaction_id_default)
    delimiter = _delimiter(csv_delimiter)
    options = LineOptions(queue, format, partition_by, partition_default, partitions, ids, delimiter, csv_types)
    source = file_messages(file, options) if file else generated(queue, partitions or _PARTITIONS, size)
    if dry_run:
        preview(source, count, endless=not file, as_json=as_json, queue=queue)
        return
    ended = run_session(
        Link(url, pace.concurrency, retry_for),
        lambda client, stop: Producer(client, pace, tally, stop).run(source),
        shown,
    )
    goal = target or (TARGET_PER_S if fast and rate is None else None)
    summary = _summary(queue, tally, ended, pace, goal, from_file=bool(file))
    if target is not None:
        summary |= verdict(tally, target)
    _sum_up(summary, tally, quiet, as_json)
    _finish(ended, tally, missed=target is not None and not summary["target_reached"])


def _check_usage(
    file: list[str] | None, partitions: int | None, partition_by: str | None, partition_default: str | None, size: int
) -> None:
    if partition_by is not None and not file:
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


def _check_input(
    file: list[str] | None,
    format: Format,
    id_from: str | None,
    id_default: str | None,
    delimiter: str | None,
    types: bool,
) -> None:
    if not file and (id_from or id_default):
        raise typer.BadParameter("--transaction-id-from and --transaction-id-default need --file")
    if format != "csv" and (delimiter is not None or types):
        raise typer.BadParameter("--csv-delimiter and --csv-types go with --format csv")
    if not file and format != "auto":
        raise typer.BadParameter("--format needs --file")


def _delimiter(given: str | None) -> str:
    text = {None: ",", "tab": "\t", "\\t": "\t"}.get(given, given or "")
    if len(text) != 1 or not text.isascii() or text in '"\r\n':
        raise typer.BadParameter("--csv-delimiter is one ASCII character other than a quote, or tab")
    return text


def _summary(
    queue: str, tally: Tally, ended: Ended, pace: Pace, target: float | None, *, from_file: bool
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
        held = summary.get("sustained_per_s", summary["rate_per_s"])
        console.say(f"target: {word}, {held} of {summary['target_per_s']:.10g} msg/s")


def _finish(ended: Ended, tally: Tally, *, missed: bool) -> None:
    """The exit code: an error's, a signal's, or 1 when messages were refused or the target was missed."""
    if ended.error is not None:
        raise ended.error
    if ended.exit_code or tally.counts["failed"] or missed:
        raise typer.Exit(ended.exit_code or console.FOUND)
