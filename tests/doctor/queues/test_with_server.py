"""The checks that ask a Queen server, with a real one: the numbers they need are there."""

from __future__ import annotations

import pytest

from queen.doctor.finding import Threshold
from tests.doctor.support import look, meanwhile, only
from tests.support.api import Api
from tests.support.server import EmbeddedServer

pytestmark = [pytest.mark.pg, pytest.mark.slow]


def test_single_pushes_are_counted_by_the_server_and_it_rotates(server: EmbeddedServer) -> None:
    limits = {"rate": Threshold(10, None, "messages/s")}
    with Api(server.url) as api, meanwhile(lambda: api.push([{"queue": "small", "payload": 1}])):
        finding = only(look(server.dsn, "Q6", url=server.url, window_s=0.5, thresholds=limits))
    assert finding.evidence["counted_by"] == "queen serve"
    assert 0.8 < finding.evidence["rows_per_statement"] < 1.2
    assert look(server.dsn, "Q6", url=server.url, thresholds=limits).status == "ok"
    for check in ("Q3", "Q7", "Q8"):
        assert look(server.dsn, check, url=server.url).status == "ok"
