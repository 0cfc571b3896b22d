"""What a run of `queen produce` came to: one object for JSON, a few lines for people. Decides no exit code."""

from __future__ import annotations

from typing import Any

from queen.cli import console
from queen.cli.produce_asked import Asked
from queen.cli.traffic.producer import Pace
from queen.cli.traffic.session import Ended
from queen.cli.traffic.tally import Tally, ms_text, per_second


def summary_of(asked: Asked, tally: Tally, ended: Ended, pace: Pace, target: float | None) -> dict[str, Any]:
    """What happened, as one object. `unsent` are lines that were read and not sent; made-up messages don't count."""
    seconds, messages = tally.seconds(), tally.counts["messages"]
    rate_per_s = per_second(messages, seconds)
    summary: dict[str, Any] = {
        "schema_version": 1,
        "command": "produce",
        "queue": asked.queue,
        "ended_by": ended.reason or "done",
        "messages": messages,
        **{name: tally.counts[name] for name in ("queued", "duplicate", "buffered", "failed", "unknown")},
        "unsent": tally.counts["unsent"] if asked.file else 0,
        "duration_ms": round(seconds * 1000),
        "rate_per_s": round(rate_per_s, 1),
        "retries": ended.retries,
        "batch": pace.batch,
        "concurrency": pace.concurrency,
        "rate_per_s_max": pace.rate,
        "push": tally.requests["push"].summary(),
        "errors": dict(tally.errors),
    }
    if target is not None:
        summary |= {"target_per_s": target, "target_reached": rate_per_s >= target}
    return summary


def put_summary(summary: dict[str, Any], tally: Tally, *, quiet: bool, as_json: bool) -> None:
    """JSON to standard output, or lines to standard error; nothing of the latter when no push was ever answered."""
    if as_json:
        console.put_json(summary)
    never_answered = summary["ended_by"] == "error" and not summary["push"]["requests"] and not summary["failed"]
    if quiet or as_json or never_answered:
        return
    sent = f"{summary['messages']} messages to {summary['queue']} in {summary['duration_ms'] / 1000:.1f} s"
    console.say(f"produced {sent}: {summary['rate_per_s']} msg/s")
    counts = ", ".join(f"{name} {summary[name]}" for name in ("duplicate", "buffered", "failed", "unknown", "retries"))
    console.say(f"push: {tally.requests['push'].text()}; {counts}")
    if "open_loop" in summary:
        console.say(_open_loop_line(summary["open_loop"]))
    if summary["unsent"]:
        console.say(f"not sent: {summary['unsent']} messages were read, but not sent")
    for text, times in tally.errors.items():
        console.say(f"failed: {times} × {text}")
    if "resume" in summary:
        resume = summary["resume"]
        console.say(f"resume: {resume['messages_acknowledged']} messages acknowledged in all, by {resume['state']}")
    if "target_per_s" in summary:
        word = "reached" if summary["target_reached"] else "missed"
        held = summary.get("sustained_per_s", summary["rate_per_s"])
        console.say(f"target: {word}, {held} of {summary['target_per_s']:.10g} msg/s")


def _open_loop_line(loop: dict[str, Any]) -> str:
    response = loop["response"]
    p50, p99, most = (ms_text(response[name]) for name in ("p50_ms", "p99_ms", "max_ms"))
    return (
        f"open loop: {loop['offered']} due ({loop['arrivals']}, seed {loop['seed']}), response p50 {p50}, p99 {p99}, "
        f"max {most}; overflow {loop['overflow']}, behind {loop['behind']}"
    )
