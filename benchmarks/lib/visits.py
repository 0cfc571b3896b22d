"""One `queen doctor` beside a load, and what it costs: seconds of processors, and seconds of throughput.

Three parts take processor time: the doctor's own process, the session of PostgreSQL that serves it, and the server that
answers its questions. The first is told by the kernel when the process ends, the second by the doctor's report, and the
third is measured once, on a server without load.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Sequence
from typing import IO, Final

import msgspec

from benchmarks.lib.facts import REPOSITORY
from benchmarks.lib.target import Target
from queen.measure.compare import Ratio

DEFAULT_RUN_S: Final = 33.0
"""A run as it comes: its window of 30 s and the 3 s that it may take beside it."""
QUESTIONS: Final = ("/metrics", "/metrics", "/api/v1/status", "/metrics", "/api/v1/status")
"""What one run asks the server."""
_ROUNDS: Final = 20


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the doctor: exit code, seconds from start to end, processor seconds of its process and of its session
    (None when PostgreSQL is elsewhere)."""

    code: int
    took_s: float
    process_s: float
    database_s: float | None


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Means over the runs, in processor seconds; None where something could not be read. `share`: of all processors
    over the time that a run took."""

    runs: int
    cores: int
    took_s: float
    process_s: float
    database_s: float | None
    answers_s: float | None
    total_s: float | None
    share: float | None


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of full throughput that one run takes away, below zero when more came through beside it; and the same as
    a share of a run as it comes. `low` and `high` hold the truth in 95 % of cases."""

    seconds: float
    low_s: float
    high_s: float
    share: float
    low: float
    high: float


def cost_of(visits: Sequence[Visit], answers_s: float | None, cores: int) -> Cost | None:
    """What the runs cost on average; None without any."""
    if not visits:
        return None
    took = statistics.mean(visit.took_s for visit in visits)
    process = statistics.mean(visit.process_s for visit in visits)
    known = [visit.database_s for visit in visits if visit.database_s is not None]
    database = statistics.mean(known) if len(known) == len(visits) else None
    total = None if database is None or answers_s is None else process + database + answers_s
    return Cost(
        runs=len(visits),
        cores=cores,
        took_s=took,
        process_s=process,
        database_s=database,
        answers_s=answers_s,
        total_s=total,
        share=None if total is None else total / (took * cores),
    )


def lost(ratio: Ratio, window_s: float) -> Lost:
    """From the ratio of messages in windows with and without a run. The longer the window, the more of the ratio's
    noise is in the answer: it should just hold the run."""
    seconds, low, high = ((1 - value) * window_s for value in (ratio.ratio, ratio.high, ratio.low))
    shares = [value / DEFAULT_RUN_S for value in (seconds, low, high)]
    return Lost(seconds=seconds, low_s=low, high_s=high, share=shares[0], low=shares[1], high=shares[2])


def answers_s(target: Target, busy_s: Callable[[], float | None], rounds: int = _ROUNDS) -> float | None:
    """Processor seconds of the server and of PostgreSQL for what one run asks the server. `busy_s`: of both so far."""
    before = busy_s()
    for _ in range(rounds):
        for path in QUESTIONS:
            request = urllib.request.Request(
                f"http://{target.host}:{target.port}{path}", headers={"Accept": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()
    after = busy_s()
    return None if before is None or after is None else (after - before) / rounds


class Doctor:
    """One `queen doctor` beside the load, with all its checks."""

    def __init__(self, target: Target, window_s: float) -> None:
        assert target.dsn is not None
        command = [sys.executable, "-m", "queen", "doctor", "--window", f"{window_s:g}s", "--json"]
        command += ["--database-url", target.dsn, "--url", f"http://{target.host}:{target.port}"]
        self._report: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `end`
        self._began = os.times().elapsed
        self._process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=_environment(),
            stdout=self._report,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # as a timer or a monitor starts it, which lets its low priority count
        )
        self._ended: tuple[int, float, float] | None = None
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        took = os.times().elapsed - self._began
        self._ended = (self._process.returncode, took, usage.ru_utime + usage.ru_stime)

    def end(self, wait_s: float = 0.0) -> Visit | None:
        """What it was; None when it is not done by then (it is killed)."""
        self._thread.join(wait_s)
        done = self._ended
        if done is None:
            self._process.kill()
            self._thread.join()
        with self._report as report:
            report.seek(0)
            text = report.read()
        return None if done is None else visit_of(*done, text)


def visit_of(code: int, took_s: float, process_s: float, report: bytes) -> Visit:
    """`report`: what the doctor printed; where it is none, its session's time is unknown."""
    try:
        found = json.loads(report)
    except ValueError:
        found = {}
    database = found.get("database_cpu_s") if isinstance(found, dict) else None
    return Visit(code=code, took_s=took_s, process_s=process_s, database_s=database)


def _environment() -> dict[str, str]:
    """Ours, but compiled code is kept, as in every installation: without it a run compiles all of Queen anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
