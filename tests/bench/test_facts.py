"""A saved run is judged as it was when it ran, and by other objectives too."""

from __future__ import annotations

import msgspec
import pytest

from queen.bench import slo
from queen.bench.facts import of_result
from queen.bench.result import Request, Result, Series, Verdict
from queen.bench.workload import Workload
from tests.bench.test_slo import histogram, ledger


def result() -> Result:
    whole, part = histogram(5, times=2000), histogram(5, times=1000)
    series = Series(
        second=[10, 11, 12, 13],
        phase=["warmup", "measure", "measure", "drain"],
        values={"delivered": [1, 900, 1100, 5], "server_rss_bytes": [9e9, 100, 200, 9e9]},
    )
    request = Request(
        mode="target",
        target_per_s=1000,
        workload=Workload(),
        slos=[],
        seed=1,
        workers=1,
        command="queen bench",
        own_server=True,
        own_database=True,
    )
    return Result(
        queen_version="0",
        started_at="now",
        duration_s=4,
        partial=False,
        request=request,
        fingerprint={},
        fingerprint_hash="",
        phases=[],
        null_run=None,
        offered_per_s=1000,
        sent_per_s=1000,
        accepted_per_s=1000,
        delivered_per_s=1000,
        backlog_max=3,
        errors={},
        error_share=0,
        latency={},
        histograms={"e2e": whole.encode()},
        slices={"e2e": [part.encode(), None]},
        slice_s=1,
        series=series,
        ledger=ledger(),
        server=None,
        postgres=None,
        costs=None,
        bottleneck=None,
        faults=[],
        slos=[],
        verdict=Verdict(word="pass", exit_code=0, line="", reasons=[]),
        notes=[],
    )


@pytest.mark.parametrize(
    ("text", "held", "value"),
    [
        ("p99(e2e)<10ms", True, 5),
        ("p99(e2e)<4ms", False, 5),
        ("p99(e2e)<10ms for 1s", False, None),
        ("rate(delivered)>=0.99*target", True, 1000),
        ("rate(delivered)>=950 for 1s", False, 900),
        ("rss<1KiB for 2s", True, 200),
        ("backlog<=3", True, 3),
        ("lost==0", True, 0),
    ],
)
def test_a_saved_run_can_be_judged_again(text: str, held: bool, value: float | None) -> None:
    saved = msgspec.json.decode(msgspec.json.encode(result()), type=Result)
    facts = of_result(saved)
    found = slo.check(slo.parse(text, facts.target), facts)
    assert found.held == held
    assert found.value == (None if value is None else pytest.approx(value, rel=0.01))
