"""C2 on a real PostgreSQL: several live instances whose pools do not fit together."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.doctor.connections.conftest import MAX_CONNECTIONS
from tests.doctor.support import execute, look, only


@pytest.fixture(autouse=True)
def _nobody_lives(dsn: str) -> Iterator[None]:
    yield
    execute(dsn, "delete from queen.instances")


def live(dsn: str, *pool_sizes: int, seen: str = "clock_timestamp()") -> None:
    """Instances that gave a sign of life just now."""
    for pool_size in pool_sizes:
        execute(
            dsn,
            f"insert into queen.instances (instance_id, seen_at, pool_size, version)"
            f" values ('{uuid.uuid4()}', {seen}, {pool_size}, '0.1')",
        )


def test_a_sum_that_does_not_fit_is_shown_by_instance_and_the_pool_that_would_fit_does(dsn: str) -> None:
    live(dsn, 16, 16)
    finding = only(look(dsn, "C2"))
    others = finding.evidence["others_now"]
    assert finding.status == "crit" if others else "warn"
    assert finding.evidence["needed"] == 2 * (16 + 2) + 3 + others
    assert [one["pool_size"] for one in finding.evidence["queen"]] == [16, 16]
    fitting = finding.evidence["pool_size_fitting"]
    assert finding.fix is not None
    assert finding.fix.apply == (f"DB_POOL_SIZE={fitting} queen serve",)
    execute(dsn, f"update queen.instances set pool_size = {fitting}, seen_at = clock_timestamp()")
    assert look(dsn, "C2").status == "ok"
    execute(dsn, f"update queen.instances set pool_size = {fitting + 2}, seen_at = clock_timestamp()")
    assert only(look(dsn, "C2")).status == "warn"


def test_more_instances_than_any_pool_fits_are_critical(dsn: str) -> None:
    live(dsn, *[4] * 7)
    finding = only(look(dsn, "C2"))
    assert finding.status == "crit"
    assert finding.evidence["needed"] >= MAX_CONNECTIONS
    assert "DB_POOL_SIZE=" in finding.remedy or "fewer instances" in finding.remedy


def test_an_instance_that_gave_no_sign_of_life_does_not_count(dsn: str) -> None:
    live(dsn, 100, seen="clock_timestamp() - interval '6 seconds'")
    assert look(dsn, "C2").status == "ok"


def test_without_the_schema_it_is_skipped(cluster: object, dsn: str) -> None:
    result = look(dsn.rsplit("/", 1)[0] + "/postgres", "C2")
    assert (result.status, result.enable) == ("skipped", "queen db migrate")
