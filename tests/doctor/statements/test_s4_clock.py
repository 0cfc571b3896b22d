"""S4 with a real PostgreSQL, and a clock of this machine that is set wrong."""

from __future__ import annotations

import time

import pytest

from tests.doctor.support import look, only


@pytest.mark.parametrize(("shift_s", "status"), [(3.0, "crit"), (-0.6, "warn")])
def test_a_wrong_clock_is_found_and_gone_when_set_right(
    module_dsn: str, monkeypatch: pytest.MonkeyPatch, shift_s: float, status: str
) -> None:
    true_time = time.time
    monkeypatch.setattr("queen.doctor.probes.clock.time.time", lambda: true_time() + shift_s)
    finding = only(look(module_dsn, "S4"))
    assert finding.status == status
    assert finding.evidence["ahead_ms"] == pytest.approx(-1000 * shift_s, abs=200)
    assert ("behind" if shift_s > 0 else "ahead of") in finding.summary
    monkeypatch.undo()
    assert look(module_dsn, "S4").status == "ok"
