"""Results as CSV for other tools: the series by second, and the percentiles. Cells that were not measured are empty."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from queen.bench.result import Percentiles, Result


def series_csv(result: Result) -> str:
    """One row a second: second, phase, every series by name, and the samples of each wait event as `wait:NAME`."""
    series = result.series
    names, waits = sorted(series.values), sorted(series.waits)
    columns = [series.values[name] for name in names] + [list(map(float, series.waits[name])) for name in waits]
    rows = (
        [second, phase, *(column[at] if at < len(column) else None for column in columns)]
        for at, (second, phase) in enumerate(zip(series.second, series.phase, strict=True))
    )
    return _csv(["second", "phase", *names, *(f"wait:{name}" for name in waits)], rows)


def percentiles_csv(result: Result) -> str:
    """One row a metric, in milliseconds."""
    fields = [field.name for field in msgspec.structs.fields(Percentiles)]
    return _csv(["metric", *fields], _metrics(result, fields))


def _metrics(result: Result, fields: list[str]) -> Iterator[list[object]]:
    found = dict(result.latency)
    if result.server is not None and result.server.insert is not None:
        found.setdefault("insert", result.server.insert)
    for metric, one in sorted(found.items()):
        yield [metric, *(getattr(one, name) for name in fields)]


def _csv(head: list[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
