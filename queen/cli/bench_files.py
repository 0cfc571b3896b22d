"""`queen bench show` and `queen bench export`: views of a stored result.

Registered on `files`, which `queen bench` takes in. The bench itself is imported when a command runs.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from queen.cli import console

files = typer.Typer()

ResultArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A result.json that queen bench wrote.")]
OutputOption = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write there instead.")]


class Format(StrEnum):
    """The forms of a result."""

    text = "text"
    json = "json"
    html = "html"


class Table(StrEnum):
    """What is exported."""

    series = "series"
    percentiles = "percentiles"


@files.command()
def show(
    file: ResultArgument,
    format_: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.text,
    output: OutputOption = None,
) -> None:
    """Show a stored result as text, JSON or an HTML page, and end with the exit code of its verdict.

    Examples: queen bench show result.json; queen bench show result.json --format html --output report.html
    """
    from queen.bench import report, store_file, summary

    result = store_file.read(file)
    if format_ is Format.html:
        text = report.render(result)
    else:
        text = summary.text(result) + "\n" if format_ is Format.text else store_file.encode(result)
    _put(text, output)
    raise typer.Exit(result.verdict.exit_code)


@files.command()
def export(
    file: ResultArgument,
    table: Annotated[Table, typer.Option("--csv", help="Which table, as CSV.")] = Table.series,
    output: OutputOption = None,
) -> None:
    """Export the series (one row a second) or the percentiles of a stored run as CSV.

    Examples: queen bench export result.json; queen bench export result.json --csv percentiles --output p.csv
    """
    from queen.bench import export as tables
    from queen.bench import store_file

    result = store_file.read_run(file)
    _put(tables.series_csv(result) if table is Table.series else tables.percentiles_csv(result), output)


def _put(text: str, output: Path | None) -> None:
    """To the file, or to standard output as it is."""
    from queen.bench import store_file

    if output is None:
        console.put(text.rstrip("\n"))
    else:
        store_file.write_text(text, output)
        console.say(f"written: {output}")
