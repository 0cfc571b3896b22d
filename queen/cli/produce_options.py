"""The options of `queen produce`: names, bounds and help. Knows no other command and does nothing."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from queen.cli.client_options import rate, size

Format = Literal["auto", "ndjson", "lines", "csv"]

FileOption = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="Push each line of this file; - is standard input. Given several times: one after the other.",
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        help="ndjson: a line is the JSON payload; lines: a line becomes a JSON text; csv: a record becomes an object, "
        "the first one names its fields.",
    ),
]
CsvDelimiterOption = Annotated[
    str | None, typer.Option("--csv-delimiter", metavar="CHAR", help="Between fields. Default: a comma; tab works too.")
]
CsvTypesOption = Annotated[
    bool,
    typer.Option("--csv-types", help="Numbers, true and false become such, empty fields null. Default: all is text."),
]
TransactionIdFromOption = Annotated[
    str | None,
    typer.Option(
        "--transaction-id-from",
        metavar="FIELD",
        help="With --file: the transaction id is this field's value (a.b.c), so pushing a file again stores nothing.",
    ),
]
TransactionIdDefaultOption = Annotated[
    Literal["line"] | None,
    typer.Option(
        "--transaction-id-default",
        help="Lines without that field, or all without --transaction-id-from: an id of file name, line number and "
        "content. The same in every run.",
    ),
]
TargetOption = Annotated[
    float | None,
    rate("--target", "Like --rate, and say at the end whether it was held; exit code 1 when not."),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the first ten messages and what would be sent; needs no server."),
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
