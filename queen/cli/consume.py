"""`queen consume`: pop messages, write them to standard output, ack them. Parses, calls, sums up."""

from __future__ import annotations

import json
import sys
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
    duration,
)

if TYPE_CHECKING:
    from queen.cli.traffic.session import Ended
    from queen.cli.traffic.tally import Tally

PartitionOption = Annotated[str | None, typer.Option("--partition", metavar="NAME", help="Only this partition.")]
GroupOption = Annotated[str | None, typer.Option("--group", metavar="NAME", help="The consumer group.")]
FromOption = Annotated[
    Literal["all", "new"] | None,
    typer.Option("--from", help="Where a group that is new to the queue starts: at the oldest message, or now."),
]
BatchOption = Annotated[int, typer.Option("--batch", metavar="N", min=1, max=10_000, help="Most messages a pop.")]
PartitionsOption = Annotated[
    int, typer.Option("--partitions", metavar="N", min=0, help="Most partitions a pop may lease; 0: no bound.")
]
ConcurrencyOption = Annotated[int, typer.Option("--concurrency", metavar="N", min=1, max=256, help="Pops in flight.")]
UntilEmptyOption = Annotated[bool, typer.Option("--until-empty", help="End when nothing is left.")]
AckOption = Annotated[bool, typer.Option("--ack/--no-ack", help="Ack what was written, or let the lease run out.")]
EnvelopeOption = Annotated[
    bool, typer.Option("--envelope", help="Print the whole message (id, partition, …) and not only its payload.")
]
HandlerOption = Annotated[
    float, typer.Option("--handler-ms", metavar="MS", min=0, help="Pretend to work this long on each message.")
]
LeaseOption = Annotated[int | None, duration("--lease", "Lease time of a pop. Default: the queue's.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the summary as one JSON line to standard error: standard output is data.")
]


def consume(
    queue: QueueOption,
    partition: PartitionOption = None,
    group: GroupOption = None,
    start: FromOption = None,
    batch: BatchOption = 100,
    partitions: PartitionsOption = 10,
    concurrency: ConcurrencyOption = 1,
    count: CountOption = None,
    duration: DurationOption = None,
    until_empty: UntilEmptyOption = False,
    ack: AckOption = True,
    envelope: EnvelopeOption = False,
    handler_ms: HandlerOption = 0.0,
    lease: LeaseOption = None,
    url: UrlOption = URL_DEFAULT,
    retry_for: RetryForOption = 30_000,
    progress: ProgressOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print messages as NDJSON, one payload a line, and ack them once they are written.

    It waits for more until --count, --duration, --until-empty or Ctrl-C. A message may be printed again after a lost
    connection or an expired lease, but none is acked before it is written. Progress and summary go to standard error.
    Exit code 1: the server refused some acks, so these messages will come again.

    Examples: queen consume --queue demo --until-empty; queen consume --queue flights --group audit --envelope | jq .
    """
    from queen.cli.traffic.blocking import write_all
    from queen.cli.traffic.consumer import Consumer, Intake
    from queen.cli.traffic.progress import Progress
    from queen.cli.traffic.session import Link, run_session
    from queen.cli.traffic.tally import Tally

    intake = Intake(
        queue=queue,
        partition=partition,
        group=group,
        batch=batch,
        partitions=partitions,
        concurrency=concurrency,
        count=count,
        duration_s=None if duration is None else duration / 1000,
        until_empty=until_empty,
        ack=ack,
        envelope=envelope,
        handler_ms=handler_ms,
        lease_seconds=None if lease is None else max(1, round(lease / 1000)),
        subscription_mode=start,
    )
    tally = Tally("pop", "ack")
    interval_s = None if progress is None else progress / 1000
    shown = None if quiet else Progress(tally, "messages", "ack" if ack else "pop", interval_s)
    output = sys.stdout.fileno()
    ended = run_session(
        Link(url, concurrency, retry_for),
        lambda client, stop: Consumer(client, intake, lambda data: write_all(output, data), tally, stop).run(),
        shown,
    )
    _sum_up(_summary(queue, tally, ended), tally, quiet, as_json)
    _finish(ended, tally)


def _summary(queue: str, tally: Tally, ended: Ended) -> dict[str, Any]:
    """What happened, as one object."""
    from queen.cli.traffic.tally import per_second

    seconds, messages = tally.seconds(), tally.counts["messages"]
    return {
        "schema_version": 1,
        "command": "consume",
        "queue": queue,
        "ended_by": ended.reason or "done",
        "messages": messages,
        **{name: tally.counts[name] for name in ("acked", "redelivered", "failed", "returned")},
        "duration_ms": round(seconds * 1000),
        "rate_per_s": round(per_second(messages, seconds), 1),
        "retries": ended.retries,
        "pop": tally.requests["pop"].summary(),
        "ack": tally.requests["ack"].summary(),
        "errors": dict(tally.errors),
    }


def _sum_up(summary: dict[str, Any], tally: Tally, quiet: bool, as_json: bool) -> None:
    if as_json:
        console.say(json.dumps(summary, ensure_ascii=False))
    never_answered = summary["ended_by"] == "error" and not summary["pop"]["requests"]
    if quiet or as_json or never_answered:
        return
    taken = f"{summary['messages']} messages of {summary['queue']} in {summary['duration_ms'] / 1000:.1f} s"
    console.say(f"consumed {taken}: {summary['rate_per_s']} msg/s")
    counts = ", ".join(f"{name} {summary[name]}" for name in ("acked", "redelivered", "failed", "returned", "retries"))
    console.say(f"pop: {tally.requests['pop'].text()}; ack: {tally.requests['ack'].text()}; {counts}")
    for text, times in tally.errors.items():
        console.say(f"ack refused: {times} × {text}")


def _finish(ended: Ended, tally: Tally) -> None:
    """The exit code: an error's, a signal's, or 1 when acks were refused."""
    if ended.error is not None:
        raise ended.error
    if ended.exit_code or tally.counts["failed"]:
        raise typer.Exit(ended.exit_code or console.FOUND)
