"""`queen bench show`, `merge` and `export`: views of stored results, and several of them taken together.

Registered on `files`, which `queen bench` takes in. The bench itself is imported when a command runs.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from queen.cli import console
from queen.errors import SettingsError

if TYPE_CHECKING:
    from queen.bench.result import Campaign, Result, Word

files = typer.Typer()

ResultArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A result.json that queen bench wrote.")]
OutputOption = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write there instead.")]


ResultArguments = Annotated[list[Path], typer.Argument(metavar="FILE", help="Files that queen bench wrote.")]

_WORST: Final[tuple[Word, ...]] = ("wrong", "partial", "invalid", "fail", "pass")


class Format(StrEnum):
    """The forms of a result."""

    text = "text"
    json = "json"
    html = "html"


class How(StrEnum):
    """What runs are to each other."""

    generators = "generators"
    repeats = "repeats"


class Table(StrEnum):
    """What is exported."""

    series = "series"
    percentiles = "percentiles"


@files.command()
def show(
    file: ResultArguments,
    format_: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.text,
    slo: Annotated[
        list[str] | None, typer.Option("--slo", metavar="TEXT", help="Judge by this instead; may be repeated.")
    ] = None,
    output: OutputOption = None,
) -> None:
    """Show stored results as text, JSON or an HTML page, and end with the exit code of the worst verdict.

    Examples: queen bench show result.json; queen bench show a.json b.json --slo 'p99(e2e)<20ms' --format json
    """
    from queen.bench import store_file

    if format_ is Format.html and len(file) > 1:
        raise SettingsError("a page shows one result", hint="name one FILE with --format html")
    results = [store_file.read(path) if not slo else _judged(path, slo) for path in file]
    _put(_shown(file, results, format_), output)
    raise typer.Exit(min((one.verdict for one in results), key=lambda one: _WORST.index(one.word)).exit_code)


@files.command()
def merge(
    file: ResultArguments,
    as_: Annotated[
        How | None, typer.Option("--as", help="Generators of one run, or repeats; told by their times otherwise.")
    ] = None,
    take_unfit: Annotated[
        bool, typer.Option("--take-unfit", help="Take in runs that are invalid, wrong or cut short, too.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Merge the results of several generators of one run, or of repeats, into one; it is judged anew.

    Percentiles come from the added histograms. Ends with the exit code of the new verdict.

    Examples: queen bench merge a.json b.json --output both.json; queen bench merge day*.json --as repeats
    """
    from queen.bench import merge as merging
    from queen.bench import store_file

    runs = [store_file.read_run(path) for path in file]
    merged = merging.merge(runs, how=None if as_ is None else as_.value, unfit=take_unfit)
    _put(store_file.encode(merged), output)
    console.say(merged.verdict.line)
    raise typer.Exit(merged.verdict.exit_code)


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


def _judged(path: Path, texts: list[str]) -> Result:
    from queen.bench import rejudge, store_file

    return rejudge.by(store_file.read_run(path), texts)


def _shown(paths: list[Path], results: list[Result | Campaign], form: Format) -> str:
    from queen.bench import report, store_file, summary

    if form is Format.html:
        return report.render(results[0])
    if form is Format.json:
        return store_file.encode(results[0] if len(results) == 1 else results)
    texts = [summary.text(one) for one in results]
    if len(texts) > 1:
        texts = [f"{path}\n{text}\n" for path, text in zip(paths, texts, strict=True)]
    return "\n".join(texts) + "\n"


def _put(text: str, output: Path | None) -> None:
    """To the file, or to standard output as it is."""
    from queen.bench import store_file

    if output is None:
        console.put(text.rstrip("\n"))
    else:
        store_file.write_text(text, output)
        console.say(f"written: {output}")
