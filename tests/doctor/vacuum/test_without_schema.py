"""The checks of this group on a database without Queen: those about the server speak, the others say why not."""

from __future__ import annotations

from queen.doctor.catalogue import choose
from queen.doctor.run import Ask, run
from tests.doctor.support import settle


def test_a_database_without_queen(empty_database_dsn: str) -> None:
    settle(empty_database_dsn)
    report = run(Ask(empty_database_dsn, choose(["V"]), window_s=0.2))
    found = {result.id: result.status for result in report.results}
    assert {name for name, status in found.items() if status == "ok"} == {"V4", "V5", "V6", "V8", "V10"}
    skipped = [result for result in report.results if result.status == "skipped"]
    assert len(skipped) == len(found) - 5
    assert {result.enable for result in skipped} == {"queen db migrate"}
