"""M7 on a real Queen server whose budget is hardly more than what it takes at its start."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from queen.doctor.checks.memory import m7_server_memory as m7
from queen.doctor.probes.server import ServerSample
from tests.doctor.seen import seen_with
from tests.doctor.support import look, only
from tests.support.fix_server import MakeServer
from tests.support.server import wait_until

MIB = 1 << 20


class Pushers:
    """Push large messages again and again. A class of threads, because the answers wait for the database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self.refused = 0

    @contextmanager
    def at_work(self, count: int = 4) -> Iterator[None]:
        threads = [threading.Thread(target=self._push) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _push(self) -> None:
        body = json.dumps({"items": [{"queue": "large", "payload": "x" * 4_000_000}]})
        while not self._over.is_set():
            answer = httpx.post(f"{self._url}/api/v1/push", content=body, timeout=60, trust_env=False)
            self.refused += answer.status_code == 503
            self._over.wait(0.05)


@pytest.mark.spec("R23")
def test_large_messages_and_a_small_budget_are_found_and_gone_with_the_remedy(
    module_servers: MakeServer, module_dsn: str
) -> None:
    database = ("--database-url", module_dsn)
    server = module_servers(*database, "--max-memory", "128MiB")
    server.start()
    assert look(module_dsn, "M7", url=server.url).status == "ok"
    pushers = Pushers(server.url)
    with psycopg.connect(module_dsn) as holder, pushers.at_work():
        holder.execute("lock table queen.messages")
        wait_until(lambda: pushers.refused, "a push to be refused")
        finding = only(look(module_dsn, "M7", url=server.url, window_s=1.0))
        holder.rollback()
    assert finding.status == "crit"
    assert finding.evidence["budget_MB"] == 128
    assert finding.evidence["refused_in_window"] >= 1
    assert finding.evidence["counted_MB"] >= 12
    assert finding.fix is not None
    (line,) = finding.fix.apply
    assert line == "queen serve --max-memory 256MiB"
    assert "QUEEN_MAX_MEMORY=256MiB" in finding.remedy
    server.kill()
    server.arguments = (*database, "--max-memory", "512MiB")
    server.start()
    pushers = Pushers(server.url)
    with psycopg.connect(module_dsn) as holder, pushers.at_work():
        holder.execute("lock table queen.messages")
        assert look(module_dsn, "M7", url=server.url).status == "ok"
        holder.rollback()
    assert pushers.refused == 0
    server.kill()


def _sample(rss: int, refused: int) -> ServerSample:
    sizes = {"memory_max": 1000 * MIB, "memory_used": 5, "memory_refused": refused}
    return ServerSample("http://here", 0.0, {}, {"sizes": sizes, "memory": {"rss": rss * MIB}})


@pytest.mark.parametrize(
    ("rss", "refused_before", "refused", "status"),
    [(500, 0, 0, None), (700, 0, 0, "warn"), (800, 0, 0, "crit"), (500, 3, 3, "info"), (500, 3, 4, "crit")],
)
@pytest.mark.spec("R23")
def test_share_and_refusals(rss: int, refused_before: int, refused: int, status: str | None) -> None:
    server, before = _sample(rss, refused), _sample(rss, refused_before)
    found = list(m7.evaluate(seen_with(m7.CHECK, {}, server=server, server_before=before)))
    assert [finding.status for finding in found] == ([status] if status else [])
    assert all("--max-memory 2GiB" in finding.remedy for finding in found)


@pytest.mark.parametrize(("machine", "fix"), [(64_000, True), (3_000, False)])
def test_a_server_that_tells_more_is_believed(machine: int, fix: bool) -> None:
    memory = {"budget": 1000 * MIB, "budgetSet": True, "used": 7 * MIB, "rss": 700 * MIB, "rssPeak": 900 * MIB}
    sample = ServerSample("http://here", 0.0, {"memory": {**memory, "machine": machine * MIB, "refused": 0}}, {})
    (finding,) = m7.evaluate(seen_with(m7.CHECK, {}, server=sample, server_before=sample))
    assert (finding.status, finding.evidence["resident_peak_MB"]) == ("warn", 900)
    assert finding.evidence["machine_MB"] == machine
    assert (finding.fix is not None) is fix
    assert ("The machine has no more memory" in finding.remedy) is not fix


def test_without_a_server_it_is_skipped_and_says_what_to_run(module_dsn: str) -> None:
    result = look(module_dsn, "M7")
    assert (result.status, result.enable) == ("skipped", "queen doctor --url http://HOST:6632")
