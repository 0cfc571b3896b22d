"""From options of the command to what is run, and what cannot go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from queen.cli.bench.choose import FULL_SPEED, Chosen, Options, choose
from queen.errors import SettingsError


def chosen(folder: Path, **given: Any) -> Chosen:
    plain: dict[str, Any] = dict.fromkeys(Options.__dataclass_fields__)
    plain |= {"knobs": {}, "slos": (), "seed": 1, "urls": (), "serve": (), "output": folder / "out"}
    plain |= {"search": False, "then_drain": False, "consent": False, "keep": False, "quiet": True, "as_json": False}
    return choose(Options(**(plain | given)))


def test_a_backlog_is_stored_at_full_speed_unless_a_rate_is_given(tmp_path: Path) -> None:
    ask = chosen(tmp_path, backlog="1M", then_drain=True).ask
    assert (ask.mode, ask.messages, ask.full_speed, ask.null_run) == ("backlog", 1_000_000, True, False)
    assert (ask.workload.consume, ask.workload.rate, ask.target) == ("later", FULL_SPEED, None)
    assert ask.slos == (), "objectives of a profile are for its rate"
    assert ask.workload.drain_s > 1_000
    slow = chosen(tmp_path, backlog="1M", knobs={"rate": "2k"}).ask
    assert (slow.full_speed, slow.null_run, slow.workload.rate) == (False, True, 2000)
    assert slow.workload.consume == "never", "without --then-drain"


def test_long_runs_are_soaks_and_short_warm_ups_have_short_null_runs(tmp_path: Path) -> None:
    assert chosen(tmp_path, knobs={"measure_s": "6h"}).ask.mode == "soak"
    plain = chosen(tmp_path).ask
    assert (plain.mode, plain.null_run_s) == ("target", 5)
    assert chosen(tmp_path, knobs={"warmup_s": "2s"}).ask.null_run_s == 2
    assert chosen(tmp_path, knobs={"warmup_s": "0s"}).ask.null_run_s == 1


def test_steps_of_a_sweep_are_short_unless_a_time_is_given(tmp_path: Path) -> None:
    ask = chosen(tmp_path, sweep="rate=1k..4kx3").ask
    assert (ask.mode, ask.workload.warmup_s, ask.workload.measure_s) == ("sweep", 3, 10)
    assert ask.sweep is not None
    assert ask.sweep.values == (1000, 2000, 4000)
    assert chosen(tmp_path, sweep="rate=1k..4k", knobs={"measure_s": "25s"}).ask.workload.measure_s == 25


def test_sides_are_read_above_the_chosen_workload(tmp_path: Path) -> None:
    sides = (tmp_path / "a.yaml", tmp_path / "b.yaml")
    sides[0].write_text("push_batch: 10\n", "utf-8")
    sides[1].write_text("serve: [--pool-size 50]\n", "utf-8")
    ask = chosen(tmp_path, ab=sides, pairs=6, knobs={"rate": "500"}).ask
    assert ask.mode == "ab"
    assert ask.sides is not None
    assert (len(ask.sides.order), ask.sides.b.rate, ask.sides.b.serve) == (12, 500, ("--pool-size", "50"))
    with pytest.raises(SettingsError, match=r"b\.yaml: serve is for a server of the bench's own"):
        chosen(tmp_path, ab=sides, urls=("http://127.0.0.1:1",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"search": True, "sweep": "rate=1k..2k"}, "--search and --sweep exclude each other"),
        ({"backlog": "10", "burst": "10"}, "--backlog and --burst exclude each other"),
        ({"then_drain": True}, "--then-drain goes with --backlog"),
        ({"pairs": 5}, "--pairs goes with --ab"),
        ({"backlog": "0"}, "a message or more"),
        ({"sweep": "ratte=1..2"}, "did you mean rate"),
        ({"sweep": "pool=5,10", "urls": ("http://127.0.0.1:1",)}, "a sweep of pool is for a server of the bench's own"),
        ({"serve": ("--pool-sise", "5")}, "did you mean --pool-size"),
    ],
)
def test_contradictions_are_told(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        chosen(tmp_path, **given)
    assert not (tmp_path / "out").exists()
