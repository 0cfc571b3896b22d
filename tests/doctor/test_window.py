"""How long a run looks, and how often meanwhile."""

from __future__ import annotations

import pytest

from queen.cli.doctor import options
from queen.doctor.probes import waits
from queen.doctor.window import WINDOW_S, period
from queen.store.inspect import Inspector


@pytest.mark.parametrize(("window_s", "between_s"), [(0.2, 0.1), (10.0, 0.1), (30.0, 0.3), (100.0, 1.0), (3600.0, 1.0)])
def test_a_hundred_looks_at_most_ten_a_second_and_no_more_than_a_second_apart(
    window_s: float, between_s: float
) -> None:
    assert period(window_s) == pytest.approx(between_s)


@pytest.mark.parametrize(
    ("text", "watch_s", "seconds"),
    [(None, None, WINDOW_S), (None, 10.0, 10.0), (None, 60.0, WINDOW_S), ("5s", 10.0, 5.0)],
)
def test_watched_runs_look_no_longer_than_they_are_apart(
    text: str | None, watch_s: float | None, seconds: float
) -> None:
    assert options.window(text, watch_s) == seconds


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_asked_again_and_again_is_planned_once_where_one_backend_serves(module_dsn: str, kept: bool) -> None:
    with Inspector(module_dsn) as inspector:
        if kept:
            inspector.keep_plans()
        assert waits.sample(inspector, 0.5).samples >= 1
        while inspector.statements < 10:
            inspector.rows("SELECT 1 AS one")
        prepared = inspector.row("SELECT count(*)::int AS statements FROM pg_prepared_statements")
    assert (prepared["statements"] > 0) == kept


def test_nothing_is_compiled_for_a_look(module_dsn: str) -> None:
    with Inspector(module_dsn) as inspector:
        assert inspector.row("SHOW jit") == {"jit": "off"}
