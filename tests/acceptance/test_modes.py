"""High-performance mode and safe defaults: what the start-up line, /health, /metrics, `config show` and the log say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.command import queen_command
from tests.support.fix_server import MakeServer
from tests.support.server import EmbeddedServer, wait_until

pytestmark = pytest.mark.pg


def metrics_lines(server: EmbeddedServer) -> list[dict[str, float]]:
    """The facts of each metrics line."""
    lines = [line for line in server.output().splitlines() if " queen.server.numbers metrics " in line]
    return [{name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", line)} for line in lines]


def check_mode(server: EmbeddedServer, mode: str, reason: str) -> None:
    assert f"mode {mode}: {reason}." in server.output()
    health = server.health()
    assert (health["mode"], health["modeReason"]) == (mode, reason)
    assert server.metrics()["mode"] == mode


def use(server: EmbeddedServer, queue: str, count: int) -> None:
    with Api(server.url) as api:
        for start in range(0, count, 10):
            api.push([{"queue": queue, "payload": number} for number in range(start, start + 10)])
        assert len(api.drain(queue)) == count


@pytest.mark.spec("R2")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_pool_of_50_turns_on_high_performance_mode(make_server: MakeServer, queue: str, workers: str) -> None:
    server = make_server("--workers", workers, DB_POOL_SIZE="50", QUEEN_LOG__METRICS_MS="200")
    server.start()
    check_mode(server, "high-performance", "pool size 50 is at least 50")
    use(server, queue, 100)

    def written(name: str) -> float:
        return max((line.get(name, 0) for line in metrics_lines(server)), default=0)

    wait_until(lambda: min(written(f"{verb}_per_s") for verb in ("push", "pop", "ack")) > 0, "the rates to be written")
    for verb in ("push", "pop", "ack"):
        assert written(f"{verb}_p99_ms") >= written(f"{verb}_p50_ms") > 0
        assert written(f"{verb}_batch") >= 1
    last = metrics_lines(server)[-1]
    assert {"pool_size", "pool_idle", "pool_waiting", "parked_polls", "refused", "failed"} <= last.keys()
    assert 1 <= last["pool_size"] <= 50
    if workers == "1":
        before = len(metrics_lines(server))
        wait_until(lambda: len(metrics_lines(server)) > before, "a line while nothing happens")
        assert metrics_lines(server)[-1]["push_per_s"] == 0
    server.check_unharmed()


@pytest.mark.spec("R2")
def test_both_modes_can_be_forced(make_server: MakeServer, queue: str) -> None:
    server = make_server("--no-high-perf", DB_POOL_SIZE="50", QUEEN_LOG__METRICS_MS="100")
    server.start()
    check_mode(server, "safe", "set by engine.high_perf")
    use(server, queue, 20)
    forced = make_server("--high-perf", "--port", "0", beside=server, QUEEN_LOG__METRICS_MS="100")
    forced.start()
    check_mode(forced, "high-performance", "set by engine.high_perf")
    wait_until(lambda: len(metrics_lines(forced)) > 1, "lines")
    assert metrics_lines(server) == [], "safe defaults write none"


@pytest.mark.spec("R2")
@pytest.mark.parametrize(
    ("arguments", "mode", "reason"),
    [
        ((), "safe", "pool size 16 is below 50"),
        (("--pool-size", "64", "--workers", "8"), "high-performance", "pool size 64 is at least 50"),
        (("--pool-size", "64", "--no-high-perf"), "safe", "set by engine.high_perf"),
    ],
)
def test_config_show_says_which_mode_and_why(
    tmp_path: Path, arguments: tuple[str, ...], mode: str, reason: str
) -> None:
    shown = queen_command(tmp_path, "config", "show", *arguments)
    assert shown.out.decode().splitlines()[-1] == f"mode {mode}: {reason}"
    document = json.loads(queen_command(tmp_path, "config", "show", "--json", *arguments).out)
    assert document["mode"] == {"name": mode, "reason": reason}
