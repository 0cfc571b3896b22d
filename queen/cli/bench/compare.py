"""`queen bench compare`: is B better than A, as text or JSON. Imports the bench when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from queen.cli import console
from queen.cli.options import JsonOption


def compare(
    results: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Two results of single runs, A and B, or one of --ab.")
    ],
    across: Annotated[
        bool, typer.Option("--across", help="Let machines and settings differ; only costs per message are compared.")
    ] = False,
    decide: Annotated[
        str | None,
        typer.Option("--decide", metavar="METRIC", help="The metric that decides. Default: response_p99."),
    ] = None,
    min_effect: Annotated[
        float, typer.Option("--min-effect", metavar="SHARE", help="Smaller differences are the same.")
    ] = 0.03,
    gate: Annotated[
        bool, typer.Option("--gate", help="Costs per message decide together; times only guard widely.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two results: ratio, interval and verdict of every metric.

    Exit codes: 0 better or the same; 1 worse; 2 wrong usage, or no result; 4 not comparable; 5 inconclusive.

    Examples: queen bench compare a.json b.json; queen bench compare a.json b.json --across --decide cpu_us
    """
    import msgspec

    from queen.bench import compare as comparing
    from queen.bench import compare_text, store_file

    a, b = comparing.sides_of([store_file.read(path) for path in results])
    found = comparing.compare(a, b, across=across, decide=decide, min_effect=min_effect, gate=gate)
    if as_json:
        console.put(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
    else:
        console.put(compare_text.text(found))
    raise typer.Exit(found.exit_code)
