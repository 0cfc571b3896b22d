"""From what was seen to one result a check: skipped with its reason, failed with its trace, or judged.

Asks nothing of anybody; `run` has gathered it all.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import replace

from queen.doctor.check import Check, Seen
from queen.doctor.facts import Facts
from queen.doctor.finding import SEVERITIES, Finding, Result, Threshold
from queen.doctor.needs import Ground, Missing
from queen.doctor.system import grant_monitor
from queen.errors import CannotLook
from queen.store.inspect import Row

Answer = list[Row] | CannotLook
"""The rows of a query, or why there are none."""


def missing(check: Check, ground: Ground) -> Missing | None:
    """The first need of the check that is not met."""
    return next((found for need in check.needs if (found := need(ground)) is not None), None)


def skipped(check: Check, why: Missing) -> Result:
    """The result of a check that could not be made."""
    return Result(check.id, check.group, check.title, "skipped", reason=why.reason, enable=why.enable)


def judge(
    check: Check,
    base: Seen,
    limits: Mapping[str, Threshold],
    first: Mapping[str, Answer],
    second: Mapping[str, Answer],
) -> Result:
    """The result of a check whose needs were met. `first`, `second`: the answers by text of the query."""
    rows: tuple[dict[str, list[Row]], dict[str, list[Row]]] = ({}, {})
    for name, query in check.queries.items():
        text = query.text_for(base.facts.version)
        for answers, into in zip((first, second), rows, strict=True):
            answer = answers[text]
            if isinstance(answer, CannotLook):
                return _refused(check, answer, base.facts)
            into[name] = answer
    return _evaluate(check, replace(base, limits=limits, first=rows[0], second=rows[1]))


def _refused(check: Check, error: CannotLook, facts: Facts) -> Result:
    """Skipped, unless the question itself was wrong: that is a fault of the check, which must not look like a need."""
    if error.kind == "faulty":
        return Result(check.id, check.group, check.title, "error", reason=error.message, trace=error.message)
    helps = error.kind == "privilege" and not facts.pg_monitor
    return skipped(check, Missing(error.message, grant_monitor(facts) if helps else error.hint))


def _evaluate(check: Check, seen: Seen) -> Result:
    try:
        # What is kept for later runs may be there also when this one is too little to judge by.
        memo = tuple(check.memo.take(seen)) if check.memo else ()
        try:
            findings = tuple(check.evaluate(seen))
        except CannotLook as error:
            return replace(_refused(check, error, seen.facts), memo=memo)
    except Exception as error:  # a bug in one check must not hide what the others found
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        trace = traceback.format_exc()
        return Result(check.id, check.group, check.title, "error", reason=reason, trace=trace)
    return with_findings(Result(check.id, check.group, check.title, "ok", memo=memo), findings)


def with_findings(result: Result, findings: tuple[Finding, ...]) -> Result:
    """The result with these findings, and the status of the worst of them."""
    worst = max(findings, key=lambda finding: SEVERITIES[finding.status], default=None)
    return replace(result, findings=findings, status=worst.status if worst else "ok")
