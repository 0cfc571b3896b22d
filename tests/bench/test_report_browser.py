"""The report in a real Chromium: no errors, no requests elsewhere, charts with marks, both schemes, narrow windows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from queen.bench import report
from tests.support import bench_results

pytestmark = pytest.mark.browser


@contextmanager
def opened(browser: Browser, html: str, folder: Path, **options: Any) -> Iterator[Page]:
    """The page from a file; fails on any error and on any request but for the file itself."""
    file = folder / "report.html"
    file.write_text(html, encoding="utf-8")
    page = browser.new_page(**options)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.on("request", lambda request: problems.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    yield page
    page.close()
    assert problems == []


def test_every_chart_has_marks_and_the_verdict_is_there(browser: Browser, tmp_path: Path) -> None:
    result = bench_results.chaos()
    with opened(browser, report.render(result), tmp_path, viewport={"width": 1000, "height": 800}) as page:
        assert page.locator("h1").inner_text() == "PASS"
        assert page.get_by_text(result.verdict.line).first.is_visible()
        names = page.eval_on_selector_all("figure.chart", "all => all.map(one => one.id)")
        assert names == ["rate", "latency", "percentiles", "waits", "cpu", "backlog"]
        for name in names:
            sizes = page.eval_on_selector_all(
                f"#{name} .wide .mark",
                "all => all.map(one => one.getBoundingClientRect()).map(b => b.width + b.height)",
            )
            assert sizes, name
            assert all(size > 50 for size in sizes), name
        assert page.locator("#rate .wide .band.fault").count() == 2


@pytest.mark.parametrize("kind", ["search", "sweep", "ab"])
def test_campaigns_have_charts_with_marks(browser: Browser, tmp_path: Path, kind: str) -> None:
    with opened(browser, report.render(bench_results.campaign(kind)), tmp_path) as page:
        assert page.locator("figure.chart").count() == (1 if kind == "ab" else 2)
        for chart in page.locator("figure.chart").all():
            assert chart.locator(".wide .mark").first.bounding_box() is not None


def test_light_and_dark_differ_and_both_can_be_read(browser: Browser, tmp_path: Path) -> None:
    html = report.render(bench_results.failed())
    grounds = []
    for scheme in ("light", "dark"):
        with opened(browser, html, tmp_path, color_scheme=scheme) as page:
            style = "one => [getComputedStyle(one).backgroundColor, getComputedStyle(one).color]"
            ground, ink = (_brightness(colour) for colour in page.eval_on_selector("body", style))
            assert abs(ground - ink) > 150
            grounds.append(ground)
    assert grounds[0] > 200 > 60 > grounds[1]


def _brightness(colour: str) -> float:
    return sum(float(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")) / 3


@pytest.mark.parametrize("name", ["wrong", "chaos", "partial"])
def test_a_narrow_window_does_not_scroll_sideways(browser: Browser, tmp_path: Path, name: str) -> None:
    html = report.render(getattr(bench_results, name)())
    with opened(browser, html, tmp_path, viewport={"width": 360, "height": 740}) as page:
        page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.locator(".narrow svg").count() == 0 or page.locator(".narrow svg").first.is_visible()


_OUTSIDE = """all => all.flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    if (!frame.width) return [];
    return [...svg.querySelectorAll("text")].filter(one => {
        const box = one.getBoundingClientRect();
        return box.left < frame.left - 1 || box.right > frame.right + 1;
    }).map(one => one.textContent);
})"""
"""The texts of all visible charts that stick out of their chart."""


@pytest.mark.parametrize("width", [360, 1000])
def test_no_text_of_a_chart_is_cut_off(browser: Browser, tmp_path: Path, width: int) -> None:
    for result in (bench_results.chaos(), bench_results.campaign("ab"), bench_results.campaign("sweep")):
        with opened(browser, report.render(result), tmp_path, viewport={"width": width, "height": 800}) as page:
            assert page.eval_on_selector_all("figure svg", _OUTSIDE) == []


def test_the_word_and_the_value_of_an_objective_are_in_sight_in_a_narrow_window(
    browser: Browser, tmp_path: Path
) -> None:
    html = report.render(bench_results.failed())
    with opened(browser, html, tmp_path, viewport={"width": 360, "height": 740}) as page:
        row = page.locator("tr", has_text="p99(e2e)<50ms").first
        assert row.locator("td").nth(0).inner_text() == "MISSED"
        value = row.locator("td").nth(2)
        box = value.bounding_box()
        assert value.inner_text() == "73.4 ms"
        assert box is not None
        assert box["x"] + box["width"] <= 360
