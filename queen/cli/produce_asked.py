"""What a command line of `queen produce` asks for, and whether it makes sense. Nothing is read or sent here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from queen.cli.traffic.place import Format
from queen.cli.traffic.schedule import Arrivals, Ramp
from queen.cli.traffic.spread import Keys, SizeRange

_STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options as they were given; None where one was not."""

    queue: str
    file: list[str] | None
    format: Format
    csv_delimiter: str | None
    csv_types: bool
    transaction_id_from: str | None
    transaction_id_default: Literal["line"] | None
    resume: Path | None
    size: SizeRange | None
    template: str | None
    template_file: Path | None
    seed: int | None
    partitions: int | None
    keys: Keys | None
    partition_by: str | None
    partition_default: str | None
    batch: int | None
    concurrency: int | None
    rate: float | None
    target: float | None
    open_loop: bool
    arrivals: Arrivals | None
    ramp: Ramp | None
    count: int | None
    duration: int | None
    high_perf: bool | None
    dry_run: bool
    url: str
    retry_for: int
    progress: int | None
    quiet: bool
    as_json: bool
    config: Path | None


def check(asked: Asked) -> None:
    """Raises typer.BadParameter for options that contradict each other or have no effect together."""
    problem = _source(asked) or _files(asked) or _partitions(asked) or _pace(asked)
    if problem is not None:
        raise typer.BadParameter(problem)


def delimiter(given: str | None) -> str:
    """The character between CSV fields. Raises typer.BadParameter."""
    text = {None: ",", "tab": "\t", "\\t": "\t"}.get(given, given or "")
    if len(text) != 1 or not text.isascii() or text in '"\r\n':
        raise typer.BadParameter("--csv-delimiter is one ASCII character other than a quote, or tab")
    return text


def _source(asked: Asked) -> str | None:
    made = {
        "--size": asked.size,
        "--template": asked.template,
        "--template-file": asked.template_file,
        "--keys": asked.keys,
    }
    given = [name for name, value in made.items() if value is not None]
    if asked.file and given:
        return f"{given[0]} is for made messages; --file reads them"
    if asked.template is not None and asked.template_file is not None:
        return "--template and --template-file exclude each other"
    if asked.size is not None and (asked.template is not None or asked.template_file is not None):
        return "--size goes without a template, which decides the size itself"
    if asked.seed is not None and asked.file and not asked.open_loop:
        return "--seed has no effect with --file: nothing is random without --open-loop"
    return None


def _files(asked: Asked) -> str | None:
    file = asked.file
    if not file and (asked.transaction_id_from or asked.transaction_id_default):
        return "--transaction-id-from and --transaction-id-default need --file"
    if asked.format != "csv" and (asked.csv_delimiter is not None or asked.csv_types):
        return "--csv-delimiter and --csv-types go with --format csv"
    if not file and asked.format != "auto":
        return "--format needs --file"
    if asked.resume is not None and (not file or _STDIN in file):
        return "--resume needs --file with files that can be read again"
    return None


def _partitions(asked: Asked) -> str | None:
    by_field = asked.partition_by is not None
    if by_field and not (asked.file or asked.template or asked.template_file):
        return "--partition-by needs --file or a template: other made messages have no field to go by"
    if by_field and (asked.partitions is not None or asked.keys is not None):
        return "--partition-by excludes --partitions and --keys"
    if asked.partition_default is not None and not by_field:
        return "--partition-default goes with --partition-by"
    return None


def _pace(asked: Asked) -> str | None:
    if asked.target is not None and asked.rate is not None:
        return "--rate and --target exclude each other: a target is a rate with a verdict"
    if not asked.open_loop and (asked.arrivals is not None or asked.ramp is not None):
        return "--arrivals and --ramp go with --open-loop"
    if asked.ramp is not None and (asked.rate is not None or asked.target is not None):
        return "--ramp has rates of its own: it excludes --rate and --target"
    if asked.open_loop and asked.rate is None and asked.target is None and asked.ramp is None:
        return "--open-loop needs --rate, --target or --ramp"
    return None
