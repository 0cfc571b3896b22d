"""The options of `queen consume`: names, bounds and help. Knows no other command and does nothing."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from queen.cli.client_options import END, MESSAGES, OUTPUT, Span, duration, duration_range

AckMode = Literal["batch", "message", "none", "auto"]
FailAs = Literal["retry", "failed"]

PARALLEL = "Batches"
HANDLING = "Acks and made-up work"
COMMAND = "A command for the messages"

PartitionOption = Annotated[
    str | None, typer.Option("--partition", metavar="NAME", help="Only this partition.", rich_help_panel=MESSAGES)
]
GroupOption = Annotated[
    str | None, typer.Option("--group", metavar="NAME", help="The consumer group.", rich_help_panel=MESSAGES)
]
FromOption = Annotated[
    Literal["all", "new"] | None,
    typer.Option(
        "--from",
        help="Where a group that is new to the queue starts: at the oldest message, or now.",
        rich_help_panel=MESSAGES,
    ),
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        "--batch",
        metavar="N",
        min=1,
        max=10_000,
        help="Most messages a pop. Default: 100; with --exec 10.",
        rich_help_panel=PARALLEL,
    ),
]
PartitionsOption = Annotated[
    int,
    typer.Option(
        "--partitions",
        metavar="N",
        min=0,
        help="Most partitions a pop may lease; 0: no bound.",
        rich_help_panel=PARALLEL,
    ),
]
ConcurrencyOption = Annotated[
    int,
    typer.Option(
        "--concurrency",
        metavar="N",
        min=1,
        max=256,
        help="Pops in flight, and with --exec commands at once.",
        rich_help_panel=PARALLEL,
    ),
]
UntilEmptyOption = Annotated[bool, typer.Option("--until-empty", help="End when nothing is left.", rich_help_panel=END)]
AckOption = Annotated[
    AckMode | None,
    typer.Option(
        "--ack",
        help="batch: one ack for each pop, once its messages are written. message: one for each message. none: let the "
        "lease run out. auto: the server acks at delivery, so messages can be lost. Default: batch; with --exec "
        "message.",
        rich_help_panel=HANDLING,
    ),
]
NoAckOption = Annotated[bool, typer.Option("--no-ack", help="The same as --ack none.", rich_help_panel=HANDLING)]
EnvelopeOption = Annotated[
    bool,
    typer.Option(
        "--envelope",
        help="Print the whole message (id, partition, …) and not only its payload; commands get it, too.",
        rich_help_panel=OUTPUT,
    ),
]
HandlerOption = Annotated[
    Span | None,
    duration_range(
        "--handler", "Pretend to work this long on each message: 5ms, or between 5ms..20ms by chance.", HANDLING
    ),
]
HandlerMsOption = Annotated[
    float | None,
    typer.Option(
        "--handler-ms",
        metavar="MS",
        min=0,
        help="The same in milliseconds, fractions allowed.",
        rich_help_panel=HANDLING,
    ),
]
FailShareOption = Annotated[
    float | None,
    typer.Option(
        "--fail-share",
        metavar="SHARE",
        min=0,
        max=1,
        help="Pretend to fail on this share of the messages, such as 0.01.",
        rich_help_panel=HANDLING,
    ),
]
FailAsOption = Annotated[
    FailAs | None,
    typer.Option(
        "--fail-as",
        help="What --fail-share tells the server: retry gives back, failed counts towards the dead letters. "
        "Default: retry.",
        rich_help_panel=HANDLING,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Makes the chance of --handler and --fail-share the same in every run.",
        rich_help_panel=HANDLING,
    ),
]
LeaseOption = Annotated[
    int | None, duration("--lease", "Lease time of a pop. Default: the queue's; with --exec 60s.", HANDLING)
]
ExecOption = Annotated[
    str | None,
    typer.Option(
        "--exec",
        metavar="CMD",
        help="Run this in a shell for each message, with the payload as a line on its standard input. Exit code 0 acks "
        "the message. Its output goes to standard output, and nothing else does.",
        rich_help_panel=COMMAND,
    ),
]
ExecBatchOption = Annotated[
    str | None,
    typer.Option(
        "--exec-batch",
        metavar="CMD",
        help="Run this in a shell for each popped batch, with one payload a line on its standard input.",
        rich_help_panel=COMMAND,
    ),
]
ExecTimeoutOption = Annotated[
    int | None,
    duration("--exec-timeout", "End a command that runs longer, which then has failed. Default: 5m.", COMMAND),
]
ExecFailAsOption = Annotated[
    FailAs | None,
    typer.Option(
        "--exec-fail-as",
        help="What happens to the message of a failed command: retry gives it back, failed counts towards the dead "
        "letters. Default: retry.",
        rich_help_panel=COMMAND,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the summary as one JSON line to standard error: standard output is data.",
        rich_help_panel=OUTPUT,
    ),
]
