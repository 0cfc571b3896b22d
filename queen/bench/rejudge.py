"""A saved run judged again: by the objectives it was asked with, or by others. Measures nothing and reads no file."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from queen.bench import facts as known
from queen.bench import slo
from queen.bench.result import Conditions, Result
from queen.bench.verdict import VALIDITY, Conduct, judge
from queen.errors import ResultFileError

_NO_CONDITIONS = Conditions(steady=True, environment=[], cpu_share_max=None, overflow=0, server_full=False)


def by(result: Result, texts: Sequence[str]) -> Result:
    """The same run judged by other objectives, which are said in its notes; those that are always on stay.

    Raises SettingsError for what is no objective.
    """
    judged = again(result, texts)
    return msgspec.structs.replace(judged, notes=[*judged.notes, f"judged again by {', '.join(texts)}"])


def again(result: Result, texts: Sequence[str] | None = None) -> Result:
    """The run with outcomes and verdict made anew from its figures. `texts`: objectives instead of those asked.

    Raises ResultFileError for a damaged histogram, SettingsError as `by`.
    """
    facts, asked = _facts(result), result.request
    given = [slo.parse(text, facts.target) for text in (asked.slos if texts is None else texts)]
    objectives = slo.with_always(given, facts.target, consume=asked.workload.consume)
    outcomes = slo.check_all(objectives, facts)
    verdict = judge(
        facts,
        outcomes,
        conduct_of(result),
        slos=objectives,
        seconds=measured_s(result),
        bottleneck=result.bottleneck,
    )
    return msgspec.structs.replace(result, slos=outcomes, verdict=verdict)


def _facts(result: Result) -> known.Facts:
    try:
        return known.of_result(result)
    except ValueError as error:
        raise ResultFileError(f"the run of {result.started_at} is damaged: {error}") from error


def conduct_of(result: Result) -> Conduct:
    """How the run was held. Where its record does not say, what the verdict had against the run itself stays."""
    held = result.conditions or _NO_CONDITIONS
    said = [] if result.conditions else [one for one in result.verdict.reasons if one.startswith(VALIDITY)]
    return Conduct(
        null_run=result.null_run,
        steady=held.steady,
        environment=held.environment,
        cpu_share_max=held.cpu_share_max,
        overflow=held.overflow,
        server_full=held.server_full,
        partial=result.partial,
        doubts=said,
    )


def measured_s(result: Result) -> float:
    """Seconds of measuring; of a merged run those of all its parts together."""
    spans = [phase.end_s - phase.start_s for phase in result.phases if phase.name == "measure"]
    return sum(spans) if spans else result.request.workload.measure_s
