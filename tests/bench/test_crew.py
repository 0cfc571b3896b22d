"""The crew: a worker that dies is a trouble with its last words, and none is left on any path."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from queen.bench import sink
from queen.bench.crew import Crew
from queen.bench.orders import Bye, Finish, Ready, Trouble
from tests.bench.load import PATIENCE_S, plan


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def _pids(crew: Crew, count: int) -> list[int]:
    pids: list[int] = []
    async for report in crew.reports():
        assert not isinstance(report, Trouble), report
        if isinstance(report, Ready):
            pids.append(report.pid)
        if len(pids) == count:
            break
    return pids


def test_a_killed_worker_is_a_trouble_and_the_others_go_on() -> None:
    async def run(port: int) -> tuple[list[Trouble], list[Bye]]:
        async with asyncio.timeout(PATIENCE_S), Crew([plan(port, 0, 2), plan(port, 1, 2)]) as crew:
            pids = await _pids(crew, 2)
            assert sorted(pids) == sorted(crew.pids)
            os.kill(crew.pids[0], signal.SIGKILL)
            troubles, byes = [], []
            async for report in crew.reports():
                if isinstance(report, Trouble):
                    troubles.append(report)
                    await crew.send(Finish())
                elif isinstance(report, Bye):
                    byes.append(report)
            return troubles, byes

    with sink.running() as target:
        (trouble,), (bye,) = asyncio.run(run(target.port))
    assert (trouble.worker, trouble.kind) == (0, "bug")
    assert "SIGKILL" in trouble.message
    assert bye.worker == 1


def test_a_dead_target_is_unreachable() -> None:
    async def run() -> list[object]:
        async with asyncio.timeout(PATIENCE_S), Crew([plan(1)]) as crew:
            return [report async for report in crew.reports()]

    (trouble,) = asyncio.run(run())
    assert isinstance(trouble, Trouble)
    assert trouble.kind == "unreachable"


@pytest.mark.parametrize("how", ["cancel", "error"])
def test_no_process_is_left_when_the_bench_ends_in_the_middle(how: str) -> None:
    pids: list[int] = []

    async def run(port: int) -> None:
        async with Crew([plan(port, 0, 2), plan(port, 1, 2)]) as crew:
            pids.extend(await _pids(crew, 2))
            if how == "error":
                raise KeyError("in the middle")
            await asyncio.Event().wait()

    async def cancelled(port: int) -> None:
        task = asyncio.create_task(run(port))
        async with asyncio.timeout(PATIENCE_S):
            while len(pids) < 2 and not task.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        if how == "cancel":
            task.cancel()
        await task

    with sink.running() as target, pytest.raises(KeyError if how == "error" else asyncio.CancelledError):
        asyncio.run(cancelled(target.port))
    assert len(pids) == 2
    assert not any(map(_is_alive, pids))
