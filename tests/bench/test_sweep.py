"""Sweeps: from text to steps, and the knee in what came out."""

from __future__ import annotations

import asyncio

import pytest

from queen.bench import sweep
from queen.bench.result import Step
from queen.bench.workload import Workload
from queen.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("rate=1k..40k", (1000, 2090, 4370, 9150, 19100, 40000)),
        ("rate=1k..4k x3", (1000, 2000, 4000)),
        ("rate = 500, 1k/s", (500, 1000)),
        ("payload=100B,1KiB,10KiB", (100, 1024, 10240)),
        ("batch=1..4", (1, 2, 3, 4)),
        ("partitions=1..10kx5", (1, 10, 100, 1000, 10000)),
        ("groups=1,5,10", (1, 5, 10)),
        ("pool=10..160x5", (10, 20, 40, 80, 160)),
    ],
)
def test_a_sweep_from_text(text: str, values: tuple[float, ...]) -> None:
    assert sweep.parse(text).values == values


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raet=1k..40k", "did you mean rate"),
        ("rate", "no sweep"),
        ("rate=", "no sweep"),
        ("rate=5k", "two different values"),
        ("rate=5k,5k", "two different values"),
        ("rate=40k..1k", "must rise"),
        ("rate=1k..40kx1", "2 to 50"),
        ("rate=1k..40kx99", "2 to 50"),
        ("rate=fast..40k", "^rate: 'fast': must be a rate"),
        ("payload=1KiB,lots", "^payload: 'lots': must be a size"),
        ("pool=0,5", "^pool: '0': must be a whole number"),
    ],
)
def test_a_mistake_says_what_is_meant(text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        sweep.parse(text)


def test_each_step_changes_one_knob() -> None:
    base = Workload(serve=("--pool-size", "5", "--pool-size=6", "--high-perf"))
    assert sweep.parse("payload=100,200").workload(base, 200).payload_bytes == 200
    assert sweep.parse("pool=10,20").workload(base, 20).serve == ("--high-perf", "--pool-size", "20")
    with pytest.raises(SettingsError, match="largest body"):
        sweep.parse("payload=100,16MiB").workload(base, 16 << 20)


def step(label: str, offered: float, delivered: float, p99: float | None) -> Step:
    return Step(
        label=label, setting={}, seconds=10, offered_per_s=offered, delivered_per_s=delivered, response_p99_ms=1,
        e2e_p99_ms=p99, held=True, reasons=[],
    )  # fmt: skip


def test_the_knee_is_where_p99_doubles_or_messages_stay_behind() -> None:
    flat = [step("1", 1000, 1000, 10), step("2", 2000, 2000, 12)]
    assert sweep.knee(flat) is None
    assert sweep.knee([]) is None
    bent = sweep.knee([*flat, step("3", 4000, 3990, 20), step("4", 8000, 4000, 900)])
    assert bent is not None
    assert (bent.index, bent.label) == (2, "3")
    assert "2.0 times" in bent.reason
    behind = sweep.knee([*flat, step("3", 4000, 3900, None)])
    assert behind is not None
    assert behind.reason == "97.5 % of the offered rate was delivered"


def test_the_driver_runs_every_step_in_order() -> None:
    seen = []

    async def run_step(label: str, workload: Workload) -> Step:
        seen.append(workload.rate)
        return step(label, workload.rate, workload.rate, 10)

    steps = asyncio.run(sweep.sweep(sweep.parse("rate=1k..4kx3"), Workload(), run_step))
    assert seen == [1000, 2000, 4000]
    assert [one.label for one in steps] == ["rate=1000", "rate=2000", "rate=4000"]


def test_a_step_that_cannot_be_is_told_before_the_first_runs() -> None:
    async def run_step(label: str, workload: Workload) -> Step:
        raise AssertionError("must not run")

    with pytest.raises(SettingsError):
        asyncio.run(sweep.sweep(sweep.parse("payload=100,16MiB"), Workload(), run_step))
