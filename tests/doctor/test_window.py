"""How long a run looks, and how often meanwhile."""

from __future__ import annotations

import psycopg
import pytest

from queen.cli.doctor import options
from queen.doctor.probes import waits
from queen.doctor.window import WINDOW_S, period
from queen.errors import CannotLook, StoreUnavailable
from queen.store.inspect import Inspector
from tests.support.server import wait_until


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
def test_what_comes_again_is_planned_once_where_one_backend_serves(module_dsn: str, kept: bool) -> None:
    with Inspector(module_dsn) as inspector:
        if kept:
            inspector.keep_plans()
        assert waits.sample(inspector, 0.25).samples >= 2
        for _ in range(10):
            assert inspector.rows("SELECT 1 AS one") == [{"one": 1}]
            assert inspector.rows("SELECT 2 AS two", again=True) == [{"two": 2}]
        prepared = inspector.rows("SELECT statement FROM pg_prepared_statements")
    texts = {row["statement"].split("\n")[0][:13] for row in prepared if "pg_prepared" not in row["statement"]}
    assert texts == ({"", "SELECT 2 AS t"} if kept else set())


def test_a_glance_reads_texts_and_says_what_was_refused(module_dsn: str) -> None:
    with Inspector(module_dsn) as inspector:
        assert inspector.glance("SELECT 1 AS a, NULL AS b, 'ä' AS c UNION ALL SELECT 2, 'x', 'y'") == [
            ("1", "", "ä"),
            ("2", "x", "y"),
        ]
        with pytest.raises(CannotLook, match='relation "nowhere" does not exist'):
            inspector.glance("SELECT * FROM nowhere")
        with pytest.raises(CannotLook) as caught:
            inspector.glance("SELECT pg_sleep(10)")
        assert caught.value.kind == "timeout"
        assert inspector.row("SELECT 1 AS one") == {"one": 1}


def test_a_glance_by_a_session_that_broke_ends_the_look(module_dsn: str) -> None:
    with Inspector(module_dsn) as inspector:
        inspector.keep_plans()
        inspector.glance("SELECT 1")
        with psycopg.connect(module_dsn, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [inspector.protocol_pid])
            wait_until(
                lambda: (
                    other.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [inspector.protocol_pid]).rowcount == 0
                ),
                "the session to end",
            )
        with pytest.raises(StoreUnavailable):
            inspector.glance("SELECT 1")
