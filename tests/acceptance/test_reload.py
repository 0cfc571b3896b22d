"""A file pushed twice by `queen produce` stores every record once; a small run of high-performance mode."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.command import queen_command
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg


def test_a_file_pushed_twice_stores_every_record_once(
    server: EmbeddedServer, api: Api, queue: str, tmp_path: Path
) -> None:
    (tmp_path / "orders.csv").write_text("order,shop\n" + "".join(f"{n},s{n % 7}\n" for n in range(1500)))
    args = ["--queue", queue, "--url", server.url, "--file", "orders.csv", "--format", "csv", "--partition-by", "shop"]
    args += ["--transaction-id-from", "order", "--json"]
    first = queen_command(tmp_path, "produce", *args, "--count", "600").json()
    assert (first["queued"], first["duplicate"]) == (600, 0)
    second = queen_command(tmp_path, "produce", *args).json()
    assert (second["queued"], second["duplicate"], second["failed"]) == (900, 600, 0)
    taken = queen_command(tmp_path, "consume", "--queue", queue, "--url", server.url, "--until-empty").lines()
    assert sorted(int(record["order"]) for record in taken) == list(range(1500))
    for shop in range(7):
        orders = [int(record["order"]) for record in taken if record["shop"] == f"s{shop}"]
        assert orders == list(range(shop, 1500, 7))


@pytest.mark.spec("R5")
def test_high_performance_mode_stores_what_it_says(
    server: EmbeddedServer, api: Api, queue: str, tmp_path: Path
) -> None:
    args = ["--queue", queue, "--url", server.url, "--count", "3000", "--json"]
    done = queen_command(tmp_path, "produce", *args, HIGH_PERF="true")
    summary = json.loads(done.out)
    assert done.code == 0, done.err
    assert (summary["queued"], summary["target_per_s"], summary["batch"]) == (3000, 10_000, 500)
    taken = queen_command(tmp_path, "consume", "--queue", queue, "--url", server.url, "--until-empty").lines()
    assert sorted(record["n"] for record in taken) == list(range(3000))
