"""How busy the pool of a Queen server is, from its metrics. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from queen.doctor.probes.server import ServerSample


@pytest.mark.parametrize(
    ("database", "share"),
    [
        ({"poolSize": 16, "openConnections": 16, "idleConnections": 4}, 0.75),
        ({"poolSize": 16, "openConnections": 2, "idleConnections": 2}, 0.0),
        ({"poolSize": 0, "openConnections": 0, "idleConnections": 0}, None),
        ({"poolSize": "16"}, None),
        (None, None),
    ],
)
def test_connections_in_use_by_those_that_the_pool_may_have(database: Any, share: float | None) -> None:
    assert ServerSample("http://here", 0.0, {}, {"database": database}).pool_share == share
