"""A server that is well, under load: the doctor finds nothing to warn of, again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from queen.doctor.catalogue import catalogue
from queen.doctor.finding import SEVERITIES
from queen.doctor.run import Ask, run
from tests.support.fix_server import MakeServer
from tests.support.load_commands import consuming, producing

pytestmark = [pytest.mark.slow, pytest.mark.pg]

RUNS = 20


def test_no_warning_in_twenty_runs_on_a_healthy_loaded_server(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server()
    server.start()
    warned: list[str] = []
    with producing(server.url, tmp_path, rate=2_000, seconds=180) as load, consuming(server.url, tmp_path, seconds=180):
        for number in range(RUNS):
            report = run(Ask(server.dsn, catalogue(), url=server.url, window_s=3.0))
            assert load.poll() is None, "the load ended too early"
            warned += [
                f"run {number}: {one.result.id} {one.finding.summary}"
                for one in report.ranked()
                if SEVERITIES[one.finding.status] >= SEVERITIES["warn"]
            ]
            warned += [f"run {number}: {r.id} {r.reason}" for r in report.results if r.status == "error"]
    assert warned == []
