"""Does it stay? The slope of rate and memory over a long run, as a share of their mean. Pure: looks at the series."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from queen.bench.result import Result, Series

DRIFTS: Final = 0.05
"""A change over the whole run beyond this, in the direction that hurts, is said to be one."""
_POINTS_MIN: Final = 20
_WATCHED: Final = (
    ("delivered", "delivered rate", -1),
    ("e2e_p99_ms", "e2e p99", 1),
    ("server_rss_bytes", "memory of the servers", 1),
    ("generator_rss_bytes", "memory of the generator", 1),
)


def change(series: Series, name: str) -> float | None:
    """How much a value of the measured time changed from its beginning to its end, by the line of least squares, as a
    share of its mean. None where it was not measured or is too short."""
    values = series.values.get(name, [])
    known = [
        (second, value)
        for second, phase, value in zip(series.second, series.phase, values, strict=False)
        if phase == "measure" and value is not None
    ]
    if len(known) < _POINTS_MIN:
        return None
    at, found = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True))
    if not found.mean():
        return None
    slope = float(np.polyfit(at - at[0], found, 1)[0])
    return slope * float(at[-1] - at[0]) / float(found.mean())


def notes(series: Series) -> list[str]:
    """One sentence for each value that is watched and was measured."""
    said = []
    for name, title, bad in _WATCHED:
        found = change(series, name)
        if found is None:
            continue
        word = "DRIFTS" if found * bad > DRIFTS else "stays"
        said.append(f"{title} {word}: {found:+.1%} from beginning to end of the measured time")
    return said


def noted(result: Result) -> Result:
    """The result with what drifted among its notes, in front: a long run was made for it."""
    return msgspec.structs.replace(result, notes=[*notes(result.series), *result.notes])
