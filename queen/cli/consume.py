"""`queen consume`: pop messages, print them or run a command for each, ack them. Parses, calls, sums up."""

from __future__ import annotations

import json
import sys
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
from queen.cli.consume_options import (
    AckOption,
    BatchOption,
    ConcurrencyOption,
    EnvelopeOption,
    ExecBatchOption,
    ExecFailAsOption,
    ExecOption,
    ExecTimeoutOption,
    FailAsOption,
    FailShareOption,
    FromOption,
    GroupOption,
    HandlerMsOption,
    HandlerOption,
    JsonOption,
    LeaseOption,
    NoAckOption,
    PartitionOption,
    PartitionsOption,
    SeedOption,
    UntilEmptyOption,
)
from queen.cli.consume_usage import Given

if TYPE_CHECKING:
    from queen.cli.traffic.consumer import Handle
    from queen.cli.traffic.session import Ended
    from queen.cli.traffic.stop import Stop
    from queen.cli.traffic.tally import Tally
    from queen.client import Client


def consume(
    queue: QueueOption,
    partition: PartitionOption = None,
    group: GroupOption = None,
    start: FromOption = None,
    count: CountOption = None,
    duration: DurationOption = None,
    until_empty: UntilEmptyOption = False,
    command: ExecOption = None,
    exec_batch: ExecBatchOption = None,
    exec_timeout: ExecTimeoutOption = None,
    exec_fail_as: ExecFailAsOption = None,
    batch: BatchOption = None,
    partitions: PartitionsOption = 10,
    concurrency: ConcurrencyOption = 1,
    ack: AckOption = None,
    no_ack: NoAckOption = False,
    lease: LeaseOption = None,
    handler: HandlerOption = None,
    handler_ms: HandlerMsOption = None,
    fail_share: FailShareOption = None,
    fail_as: FailAsOption = None,
    seed: SeedOption = None,
    url: UrlOption = URL_DEFAULT,
    retry_for: RetryForOption = 30_000,
    envelope: EnvelopeOption = False,
    progress: ProgressOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print messages as NDJSON, one payload a line, and ack them once they are written; or run a command for each.

    It waits for more until --count, --duration, --until-empty or Ctrl-C. A message may be printed again after a lost
    connection or an expired lease, but none is acked before it is written. Progress and summary go to standard error.

    A command of --exec finds QUEEN_QUEUE, QUEEN_PARTITION, QUEEN_GROUP, QUEEN_MESSAGE_ID, QUEEN_TRANSACTION_ID and
    QUEEN_ATTEMPT in its environment, one of --exec-batch QUEEN_QUEUE, QUEEN_GROUP and QUEEN_MESSAGES (how many). The
    lease is extended while it runs. When it fails, messages behind it in the partition wait until it succeeds. Ctrl-C
    ends it, and its message is given back.

    Exit code 1: the server refused some acks, so these messages will come again; or a command failed to the end.

    \b
    Examples:
      queen consume --queue flights --group audit --envelope | jq .
      queen consume --queue mails --concurrency 4 --exec './send-mail "$QUEEN_MESSAGE_ID"'
    """
    from queen.cli.traffic.consumer import Consumer, Intake
    from queen.cli.traffic.progress import Progress
    from queen.cli.traffic.session import Link, run_session
    from queen.cli.traffic.tally import Tally

    given = Given(
        batch, ack, no_ack, handler, handler_ms, fail_share, fail_as, seed, lease,
        command, exec_batch, exec_timeout, exec_fail_as,
    )  # fmt: skip
    given.check()
    intake = Intake(
        queue=queue,
        partition=partition,
        group=group,
        batch=given.batch_max(),
        partitions=partitions,
        concurrency=concurrency,
        count=count,
        duration_s=None if duration is None else duration / 1000,
        until_empty=until_empty,
        auto_ack=given.ack_mode() == "auto",
        lease_seconds=given.lease_s(),
        subscription_mode=start,
    )
    tally = Tally("pop", "ack")
    interval_s = None if progress is None else progress / 1000
    shown = (
        None
        if quiet
        else Progress(tally, "messages", "pop" if given.ack_mode() in ("none", "auto") else "ack", interval_s)
    )
    # Beside each pop or ack, the lease of the same batch may be extended.
    connections = concurrency * (2 if given.runs_commands else 1)
    ended = run_session(
        Link(url, connections, retry_for),
        lambda client, stop: Consumer(
            client, intake, _handler(given, envelope, client, tally, stop), tally, stop
        ).run(),
        shown,
    )
    _sum_up(_summary(queue, tally, ended), tally, quiet, as_json)
    _finish(ended, tally)


def _handler(given: Given, envelope: bool, client: Client, tally: Tally, stop: Stop) -> Handle:
    """What is done with each batch."""
    from queen.cli.traffic.blocking import write_all
    from queen.cli.traffic.commands import Commander, Job
    from queen.cli.traffic.pretend import Pretence, Pretender
    from queen.cli.traffic.printing import Printer, Style
    from queen.cli.traffic.settler import Settler

    settler = Settler(client, tally)
    if given.runs_commands:
        job = Job(
            command=given.command or given.batch_command or "",
            whole=given.batch_command is not None,
            timeout_s=given.exec_timeout_s(),
            fail_as=given.exec_fail_as or "retry",
            ack=given.ack_mode(),
            envelope=envelope,
            lease_s=given.lease_s() or 1,
        )
        return Commander(client, job, settler, tally, stop).handle
    span = given.handler_span()
    pretender = Pretender(Pretence(span.low_ms, span.high_ms, given.fail_share or 0.0, given.seed))
    style = Style(given.ack_mode(), envelope, given.fail_as or "retry")
    output = sys.stdout.fileno()
    return Printer(lambda data: write_all(output, data), settler, pretender, tally, stop, style).handle


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
        **{name: tally.counts[name] for name in ("handler_failed", "dead_letters", "left_failing", "lost")},
        "duration_ms": round(seconds * 1000),
        "rate_per_s": round(per_second(messages, seconds), 1),
        "retries": ended.retries,
        "pop": tally.requests["pop"].summary(),
        "ack": tally.requests["ack"].summary(),
        "errors": dict(tally.errors),
        "failures": dict(tally.failures),
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
    for text, times in tally.failures.items():
        console.say(f"command failed: {times} × {text}")
    if summary["handler_failed"]:
        console.say(f"failed messages: {summary['handler_failed']}, dead letters {summary['dead_letters']}")
    if summary["left_failing"]:
        console.say(f"still failing: the last message of {summary['left_failing']} partitions")
    if summary["lost"]:
        console.say(f"lost: {summary['lost']} messages were acked at delivery, and nobody read them")


def _finish(ended: Ended, tally: Tally) -> None:
    """The exit code: an error's, a signal's, or 1 when acks were refused or commands failed to the end."""
    if ended.error is not None:
        raise ended.error
    dead = tally.counts["dead_letters"] if tally.failures else 0
    if ended.exit_code or tally.counts["failed"] or dead or tally.counts["left_failing"]:
        raise typer.Exit(ended.exit_code or console.FOUND)
