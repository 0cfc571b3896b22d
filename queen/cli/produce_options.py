"""The options of `queen produce`: names, bounds, help and the group on the help page. Does nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from queen.cli import client_options
from queen.cli.traffic.place import Format
from queen.cli.traffic.schedule import Arrivals, Ramp
from queen.cli.traffic.spread import Keys, SizeRange
from queen.units import parse_duration_ms, parse_rate

_FILES = "Messages from files"
_MADE = "Messages that are made"
_PLACES = "Partitions"
_PACE = "Pace and end"
_SEED_MAX = 2**63 - 1


def _option(panel: str, flag: str, metavar: str | None, help_text: str, **bounds: Any) -> Any:
    return typer.Option(flag, metavar=metavar, help=help_text, rich_help_panel=panel, **bounds)


def _read(panel: str, flag: str, metavar: str, help_text: str, parse: Callable[[str], object]) -> Any:
    made = client_options.option(flag, metavar, help_text, parse)
    made.rich_help_panel = panel
    return made


FileOption = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="Push each line of this file; - is standard input. Given several times: one after the other.",
        rich_help_panel=_FILES,
    ),
]
FormatOption = Annotated[
    Format,
    _option(
        _FILES,
        "--format",
        None,
        "ndjson: a line is the JSON payload; lines: a line becomes a JSON text; csv: a record becomes an object, "
        "the first one names its fields.",
    ),
]
CsvDelimiterOption = Annotated[
    str | None,
    _option(_FILES, "--csv-delimiter", "CHAR", "Between fields. Default: a comma; tab works too."),
]
CsvTypesOption = Annotated[
    bool,
    _option(
        _FILES, "--csv-types", None, "Numbers, true and false become such, empty fields null. Default: all is text."
    ),
]
TransactionIdFromOption = Annotated[
    str | None,
    _option(
        _FILES,
        "--transaction-id-from",
        "FIELD",
        "The transaction id is this field's value (a.b.c), so pushing a file again stores nothing.",
    ),
]
TransactionIdDefaultOption = Annotated[
    Literal["line"] | None,
    _option(
        _FILES,
        "--transaction-id-default",
        None,
        "Lines without that field, or all without --transaction-id-from: an id of file name, line number and "
        "content. The same in every run.",
    ),
]
ResumeOption = Annotated[
    Path | None,
    _option(
        _FILES,
        "--resume",
        "STATE",
        "Remember in this file up to where everything is acknowledged, and go on from there. Without an id option it "
        "sets --transaction-id-default line.",
    ),
]
SizeOption = Annotated[
    SizeRange | None,
    _read(
        _MADE, "--size", "SIZE", "Bytes of a payload: 256, 4KiB, or a range 100..4KiB. Default: 256.", SizeRange.parse
    ),
]
TemplateOption = Annotated[
    str | None,
    _option(
        _MADE,
        "--template",
        "TEXT",
        'JSON with generators, such as {"id": {{seq}}, "user": {{zipf 1000}}}. There are seq, uuid, int A B, '
        "float A B, word, choice a b, now, hex N, zipf N.",
    ),
]
TemplateFileOption = Annotated[Path | None, _option(_MADE, "--template-file", "FILE", "A template from a file.")]
SeedOption = Annotated[
    int | None,
    _option(
        _MADE,
        "--seed",
        "N",
        "For everything random, --arrivals too; equal seeds make equal messages. Default: 1.",
        min=0,
        max=_SEED_MAX,
    ),
]
PartitionsOption = Annotated[
    int | None,
    _option(
        _PLACES,
        "--partitions",
        "N",
        "Spread over partitions p0 to pN-1 in turn. Default: 10; with --file one partition, so order is kept.",
        min=1,
        max=1_000_000,
    ),
]
KeysOption = Annotated[
    Keys | None,
    _read(
        _PLACES,
        "--keys",
        "uniform|zipf(S)",
        "Choose the partition of a made message by chance: all alike, or by Zipf's law. Default: in turn.",
        Keys.parse,
    ),
]
PartitionByOption = Annotated[
    str | None,
    _option(_PLACES, "--partition-by", "FIELD", "The partition is this field's value (a.b.c)."),
]
PartitionDefaultOption = Annotated[
    str | None,
    _option(_PLACES, "--partition-default", "NAME", "The partition of messages without that field."),
]
BatchOption = Annotated[
    int | None,
    _option(_PACE, "--batch", "N", "Most messages a push. Default: 100; high-perf 500.", min=1, max=10_000),
]
ConcurrencyOption = Annotated[
    int | None,
    _option(_PACE, "--concurrency", "N", "Pushes in flight. Default: 4; high-perf 8.", min=1, max=256),
]
RateOption = Annotated[
    float | None,
    _read(
        _PACE,
        "--rate",
        "RATE",
        "Most messages a second. Default: no limit; 1000/s when nothing else ends the run, save in high-perf.",
        parse_rate,
    ),
]
TargetOption = Annotated[
    float | None,
    _read(
        _PACE,
        "--target",
        "RATE",
        "Like --rate, and say at the end whether it was held; exit code 1 when not.",
        parse_rate,
    ),
]
OpenLoopOption = Annotated[
    bool,
    _option(
        _PACE,
        "--open-loop",
        None,
        "Fix the time of each message before the run and count its latency from then, whatever held it up.",
    ),
]
ArrivalsOption = Annotated[
    Arrivals | None,
    _option(
        _PACE, "--arrivals", None, "With --open-loop: random gaps as of real traffic, or even ones. Default: poisson."
    ),
]
RampOption = Annotated[
    Ramp | None,
    _read(
        _PACE,
        "--ramp",
        "A..B/TIME",
        "With --open-loop: from one rate to another, such as 1k..20k/60s. Ends there without --count or --duration.",
        Ramp.parse,
    ),
]
CountOption = Annotated[int | None, _option(_PACE, "--count", "N", "End after N messages.", min=1)]
DurationOption = Annotated[
    int | None,
    _read(
        _PACE,
        "--duration",
        "TIME",
        "End after this time, such as 30s or 5m.",
        lambda text: parse_duration_ms(text, plain_unit="s"),
    ),
]
HighPerfOption = Annotated[
    bool | None,
    typer.Option(
        "--high-perf/--no-high-perf",
        help="Larger batches, more in flight, no rate limit. Default: HIGH_PERF or the settings file, else off.",
        show_default=False,
        rich_help_panel=_PACE,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the first ten messages and what would be sent; needs no server."),
]
