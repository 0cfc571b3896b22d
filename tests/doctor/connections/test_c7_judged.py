"""C7: which PgBouncers keep prepared statements. The versions are invented; 1.18 and 1.24 are real in
test_c6_c7_through_a_pooler.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from queen.doctor.catalogue import find
from queen.doctor.check import Seen
from queen.doctor.probes.pooler import Pooler
from queen.doctor.probes.server import ServerSample
from tests.doctor.seen import seen_with

CONSOLE = Pooler(admin=True, version="1.24.1", config={"max_prepared_statements": "200"})


@pytest.mark.parametrize(
    ("pooler", "status"),
    [
        (CONSOLE, None),
        (replace(CONSOLE, version="1.22.0"), None),
        (replace(CONSOLE, version="1.21.0"), "crit"),
        (replace(CONSOLE, version="1.18.0", config={}), "crit"),
        (replace(CONSOLE, config={"max_prepared_statements": "0"}), "crit"),
        (Pooler(between=True, transaction_mode=True), "warn"),
        (None, "warn"),
    ],
)
def test_a_server_that_prepares_is_judged_by_its_pooler(pooler: Pooler | None, status: str | None) -> None:
    assert statuses(pooler, pooled=True, prepares=True) == ([status] if status else [])


def test_a_server_that_prepares_nothing_or_goes_straight_is_well() -> None:
    assert statuses(None, pooled=True, prepares=False) == []
    assert statuses(None, pooled=False, prepares=True) == []


def statuses(pooler: Pooler | None, *, pooled: bool, prepares: bool) -> list[str]:
    sample = ServerSample("http://x", 0.0, {"pool": {"pooler": pooled, "prepares": prepares}})
    seen: Any = Seen.__new__(Seen)
    for name, value in {"server": sample, "pooler": pooler}.items():
        object.__setattr__(seen, name, value)
    return [finding.status for finding in find("C7").evaluate(seen)]


def test_a_pool_that_lets_wait_on_average_names_that_threshold() -> None:
    """C5: nobody waits at the moment of the look."""
    pool = {"database": "queen", "user": "queen", "cl_waiting": 0, "maxwait": 0, "maxwait_us": 0}
    pooler = Pooler(admin=True, pools=(pool,), stats=({"database": "queen", "avg_wait_time": 2_000_000},))
    (finding,) = find("C5").evaluate(seen_with(find("C5"), {}, pooler=pooler))
    assert (finding.status, finding.threshold) == ("warn", find("C5").thresholds["mean"])
