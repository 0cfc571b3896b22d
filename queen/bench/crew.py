"""The bench's side of its workers: starts them, sends orders, hands on reports, and ends all of them on every path."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

import msgspec

from queen.bench.frames import pack, read_report
from queen.bench.orders import Bye, Order, Plan, Report, Trouble

_GRACE_S = 3.0
_REPORTS_MAX = 1000
"""Reports that wait to be read by the bench; beyond it the workers' pipes fill."""
_LINES_KEPT = 20


class Crew:
    """One process per plan, in a session of its own: Ctrl-C reaches the bench alone."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._plans = plans
        self._processes: list[asyncio.subprocess.Process] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._reports: asyncio.Queue[Report | None] = asyncio.Queue(_REPORTS_MAX)
        self._alive = 0

    async def __aenter__(self) -> Self:
        """Starts the processes and sends each its plan; `Ready` of each comes as a report."""
        try:
            for plan in self._plans:
                await self._start(plan)
        except BaseException:
            await self._end()
            raise
        return self

    async def _start(self, plan: Plan) -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "queen.bench.worker", stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        self._processes.append(process)
        self._alive += 1
        self._tasks.append(asyncio.create_task(self._watch(plan.worker, process)))
        assert process.stdin is not None
        process.stdin.write(pack(plan))

    async def send(self, order: Order, worker: int | None = None) -> None:
        """To one worker (by its place in `plans`), or to all. One that has died is passed over: it is a Trouble."""
        chosen = self._processes if worker is None else [self._processes[worker]]
        for process in chosen:
            assert process.stdin is not None
            if process.returncode is None and not process.stdin.is_closing():
                process.stdin.write(pack(order))
                try:
                    await process.stdin.drain()
                except ConnectionError:
                    pass  # Its end is reported by whoever reads from it.

    async def reports(self) -> AsyncIterator[Report]:
        """Everything that the workers say, until all have ended. For one reader."""
        while True:
            if not self._alive and self._reports.empty():
                return
            report = await self._reports.get()
            if report is not None:
                yield report

    @property
    def pids(self) -> list[int]:
        """Of the workers that still run."""
        return [process.pid for process in self._processes if process.returncode is None]

    async def _watch(self, worker: int, process: asyncio.subprocess.Process) -> None:
        lines: deque[str] = deque(maxlen=_LINES_KEPT)
        complaining = asyncio.create_task(_keep_lines(process, lines))
        last: Report | None = None
        try:
            assert process.stdout is not None
            while (report := await read_report(process.stdout)) is not None:
                last = report if isinstance(report, Bye | Trouble) else None
                await self._reports.put(report)
        except (msgspec.DecodeError, ValueError) as error:
            lines.append(f"cannot read what it reports: {error}")
            process.kill()
        except asyncio.CancelledError:
            complaining.cancel()
            raise
        code = await process.wait()
        await asyncio.wait((complaining,), timeout=1)
        if last is None:
            said = "\n".join(lines) or "it said nothing"
            await self._reports.put(Trouble(worker, "bug", f"worker {worker} ended ({_how(code)}): {said}"))
        self._alive -= 1
        await self._reports.put(None)  # Wakes the reader, so that it sees that this was the last one.

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        """Closes the workers' input, which ends them, and kills those that stay; all at once when this is cancelled."""
        leaving = asyncio.create_task(self._leave())
        try:
            await asyncio.shield(leaving)
        except asyncio.CancelledError:
            self._kill()
            await leaving
            raise

    async def _leave(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        ended = [asyncio.ensure_future(process.wait()) for process in self._processes]
        if ended:
            await asyncio.wait(ended, timeout=_GRACE_S)
        self._kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in self._processes:
            await _let_go(process)

    def _kill(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()


async def _let_go(process: asyncio.subprocess.Process) -> None:
    """Waits for the end, and reads what is left in its pipes: they close with that, and not before."""
    await process.wait()
    assert process.stdin is not None
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        await stream.read()
    try:
        await process.stdin.wait_closed()
    except ConnectionError:
        pass  # It ended without reading all of its orders.
    await asyncio.sleep(0)  # The transports close at the loop's next turn.


async def _keep_lines(process: asyncio.subprocess.Process, lines: deque[str]) -> None:
    assert process.stderr is not None
    while chunk := await process.stderr.read(4096):
        lines.extend(line[:500] for line in chunk.decode("utf-8", "replace").splitlines() if line.strip())


def _how(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
