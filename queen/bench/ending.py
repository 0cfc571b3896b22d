"""What the record of a run says beyond what was judged: why it was cut short, and how a backlog was drained. Pure."""

from __future__ import annotations

import msgspec

from queen.bench.result import Result, Verdict
from queen.errors import QueenError, ServerUnreachable

_UNREACHABLE, _TROUBLE = 3, 1


def ended(result: Result, failure: QueenError | None, drained: tuple[float, float] | None) -> Result:
    """`drained`: the seconds from the first consumer to the last message, and the messages of one group."""
    if failure is not None and result.verdict.word == "partial":
        line = f"PARTIAL {failure.message}"
        code = _UNREACHABLE if isinstance(failure, ServerUnreachable) else _TROUBLE
        verdict = Verdict(word="partial", exit_code=code, line=line, reasons=[failure.message])
        result = msgspec.structs.replace(result, verdict=verdict)
    if drained is None or result.partial:
        return result
    seconds, messages = drained
    rate = messages / seconds if seconds > 0 else 0.0
    said = f"drained {messages:,.0f} messages in {seconds:,.1f} s, {rate:,.0f} msg/s"
    verdict = result.verdict
    if verdict.word in ("pass", "fail"):
        verdict = msgspec.structs.replace(verdict, line=f"{verdict.line} · {said}")
    return msgspec.structs.replace(
        result, verdict=verdict, drain_s=round(seconds, 3), drain_per_s=rate, notes=[said, *result.notes]
    )
