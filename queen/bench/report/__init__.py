"""The result as one HTML page without network and without a script: verdict first, every chart with its numbers.

Charts are inline SVG drawn here rather than by a library in the page: they work in a mail, print, and can be compared
as text. Knows results and nothing of how they came to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from queen.bench import words
from queen.bench.report.charts import Chart, Ratio, intervals
from queen.bench.report.run_charts import campaign_charts, run_charts
from queen.bench.result import Campaign, Percentiles, Result
from queen.measure.compare import MIN_EFFECT

_COSTS = (
    ("server_cpu_us", "server, processor", "µs"),
    ("postgres_cpu_us", "PostgreSQL, processor", "µs"),
    ("generator_cpu_us", "generator, processor", "µs"),
    ("wal_bytes", "WAL", "B"),
    ("disk_bytes", "disk", "B"),
    ("wire_bytes", "on the wire", "B"),
    ("commits", "commits", ""),
    ("statements", "statements", ""),
)
_BAD = ("lost", "duplicated", "reordered", "early", "corrupt", "ghost", "unacked")
_SEEN = (
    "sent",
    "accepted",
    "delivered",
    "acked",
    "redelivered",
    "unknown",
    "unknown_delivered",
    "refused",
    "dead_letters",
)


def render(result: Result | Campaign) -> str:
    """The page. All texts of the result are escaped."""
    environment = Environment(
        loader=PackageLoader(__name__, "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals.update(
        number=words.number,
        milliseconds=words.milliseconds,
        rate=words.rate,
        share=words.share,
        flat=words.flat,
        margin=words.margin,
    )
    style = Markup((resources.files(__name__) / "style.css").read_text("utf-8"))
    facts = _campaign(result) if isinstance(result, Campaign) else _run(result)
    return environment.get_template("page.html.j2").render(style=style, result=result, **facts)


def _run(result: Result) -> dict[str, Any]:
    return {
        "title": f"{result.request.workload.name}, {result.request.mode}",
        "command": result.request.command,
        "headline": words.has_headline(result),
        "charts": run_charts(result),
        "runs": [_run_facts(result)],
        "intervals": None,
        "compared": [],
    }


def _campaign(campaign: Campaign) -> dict[str, Any]:
    return {
        "title": campaign.kind,
        "command": campaign.command,
        "headline": campaign.verdict.word in ("pass", "fail"),
        "charts": campaign_charts(campaign),
        "runs": [_run_facts(run) for run in campaign.runs],
        "intervals": _intervals(campaign.comparison or {}),
        "compared": _compared(campaign.comparison or {}),
    }


def _run_facts(result: Result) -> dict[str, Any]:
    """What the page says of one run, as texts."""
    return {
        "result": result,
        "headline": words.has_headline(result),
        "claims": words.claims(result),
        "tiles": _tiles(result),
        "latency": list(_latency_rows(result)),
        "costs": _cost_rows(result),
        "bad": [(name, getattr(result.ledger, name)) for name in _BAD],
        "seen": [(name.replace("_", " "), getattr(result.ledger, name)) for name in _SEEN],
        "fingerprint": words.flat(result.fingerprint),
        "workload": words.flat(msgspec.to_builtins(result.request.workload)),
    }


def _tiles(result: Result) -> list[tuple[str, str, str]]:
    """Headline figures: name, value, and which colour it has in the charts."""
    response, e2e = result.latency.get("response"), result.latency.get("e2e")
    return [
        ("delivered", words.rate(result.delivered_per_s), "e2e"),
        ("response p50", _ms(response, "p50", 50), "response"),
        ("response p99", _ms(response, "p99", 99), "response"),
        ("end-to-end p99", _ms(e2e, "p99", 99), "e2e"),
        ("lost · duplicated", f"{result.ledger.lost:,} · {result.ledger.duplicated:,}", "plain"),
    ]


def _ms(of: Percentiles | None, name: str, percent: float) -> str:
    text = words.percentile(of, name, percent)
    return text if words.NOTHING in text else f"{text} ms"


def _latency_rows(result: Result) -> Iterable[tuple[str, list[str]]]:
    found = dict(result.latency)
    if result.server is not None and result.server.insert is not None:
        found.setdefault("insert", result.server.insert)
    order = list(words.METRIC_WORDS)
    for metric in sorted(found, key=lambda name: order.index(name) if name in order else len(order)):
        one = found[metric]
        cells = [words.percentile(one, name, percent) for name, percent in words.PERCENTS]
        cells += [words.number(one.max), words.number(one.mean), f"{one.count:,}"]
        yield words.METRIC_WORDS.get(metric, metric), cells


def _cost_rows(result: Result) -> list[tuple[str, str]]:
    if result.costs is None:
        return []
    return [(label, f"{words.number(getattr(result.costs, name))} {unit}".strip()) for name, label, unit in _COSTS]


def _intervals(comparison: Mapping[str, Any]) -> Chart | None:
    """The ratios of a comparison that have an interval; the table beside the chart has all of them."""
    ratios = []
    for row in comparison.get("metrics", []):
        if row["low"] is not None and row["high"] is not None:
            ratios.append(Ratio(row["name"], row["ratio"], row["low"], row["high"], row["word"], row["decides"]))
    return intervals("intervals", "B against A", ratios, comparison.get("min_effect", MIN_EFFECT))


def _compared(comparison: Mapping[str, Any]) -> list[tuple[str, str, list[str], str]]:
    """Every metric of a comparison in texts: its word, what it is, A, B and the ratio with its interval, and why."""
    rows = []
    for one in comparison.get("metrics", []):
        ratio, low, high = (words.number(one[key], 4) for key in ("ratio", "low", "high"))
        further = f"about {one['further_pairs']} further pairs would decide" if one["further_pairs"] else ""
        span = "" if one["low"] is None else f"{low} to {high}"
        name = f"{one['name']}{' (decides)' if one['decides'] else ''}"
        values = (f"{words.number(one[side])} {one['unit']}" if one[side] is not None else "n/a" for side in "ab")
        rows.append((one["word"], name, [*values, ratio, span], one["reason"] or further))
    return rows
