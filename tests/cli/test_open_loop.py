"""`queen produce --open-loop`: due times are fixed before the run, and latency counts from them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen.cli.main import run
from queen.cli.traffic.eta import Eta
from queen.cli.traffic.open_loop import OpenLoop
from queen.cli.traffic.place import Reading
from queen.cli.traffic.schedule import Ramp, due_times_s
from queen.cli.traffic.tally import Tally
from tests.support.command import Done, end, start_queen, wait_until, warm_command
from tests.support.fake_queen import FakeQueen, fake_queen


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def produce(queen: FakeQueen, home: Path, *args: str) -> Done:
    return warm_command(home, "produce", "--queue", "q", "--url", queen.url, *args)


def test_even_arrivals_are_even_and_random_ones_come_at_the_same_rate() -> None:
    assert list(islice(due_times_s(Ramp.flat(100), "uniform", 1), 4)) == pytest.approx([0, 0.01, 0.02, 0.03])
    random = list(islice(due_times_s(Ramp.flat(100), "poisson", 1), 10_000))
    assert random[-1] == pytest.approx(100, rel=0.05)
    gaps = [later - earlier for earlier, later in pairwise(random)]
    # Of exponential gaps, 1/e are longer than the mean.
    assert sum(gap > 0.01 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.03)
    assert random == list(islice(due_times_s(Ramp.flat(100), "poisson", 1), 10_000))
    assert random[:10] != list(islice(due_times_s(Ramp.flat(100), "poisson", 2), 10))


def test_a_ramp_changes_the_rate_and_then_holds() -> None:
    ramp = Ramp.parse("100..300/10s")
    times = list(islice(due_times_s(ramp, "uniform", 1), 5000))
    per_second = [sum(second <= time < second + 1 for time in times) for second in range(15)]
    assert per_second[0] == pytest.approx(110, abs=2)
    assert per_second[9] == pytest.approx(290, abs=2)
    assert per_second[12] == pytest.approx(300, abs=2)


@given(st.floats(0.1, 1e5), st.floats(0.1, 1e5), st.floats(0.01, 1e4), st.floats(0, 1e6), st.floats(0, 1e6))
def test_due_times_never_go_back(start: float, stop: float, seconds: float, one: float, other: float) -> None:
    ramp = Ramp(start, stop, seconds)
    earlier, later = sorted((ramp.due_s(min(one, other)), ramp.due_s(max(one, other))))
    assert ramp.due_s(min(one, other)) == pytest.approx(earlier)
    assert ramp.due_s(max(one, other)) == pytest.approx(later)


@pytest.mark.parametrize("text", ["1k..2k", "1k/60s", "1k..2k/0s", "0..2k/5s", "1k..2k/soon", ""])
def test_a_wrong_ramp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a|takes more"):
        Ramp.parse(text)


def test_what_waits_for_room_keeps_its_due_time_and_counts_as_overflow() -> None:
    now = [0.0]
    loop = OpenLoop(Ramp.flat(10), "uniform", 1, 1, ends_s=1.05, clock=lambda: now[0])

    async def run() -> None:
        assert await loop.allow(5) == 1
        loop.take(0, waited=False)
        now[0] = 0.55
        assert await loop.allow(3) == 3
        loop.take(0, waited=False)
        now[0] = 0.75
        loop.take(0, waited=True)
        loop.take(0, waited=False)
        assert await loop.allow(100) == 4
        for _ in range(4):
            loop.take(0, waited=False)
        loop.answer(0, [True, False, *[True] * 6])
        now[0] = 9.0
        assert await loop.allow(100) == 3
        assert await loop.allow(100) == 0

    asyncio.run(run())
    loop.cut()
    summary = loop.summary()
    assert (summary["offered"], summary["overflow"], summary["behind"]) == (11, 6, 3)
    assert summary["response"]["messages"] == 7
    assert summary["response"]["max_ms"] == pytest.approx(750, rel=0.01)


def test_a_schedule_is_kept_and_measured(queen: FakeQueen, tmp_path: Path) -> None:
    args = ["--open-loop", "--rate", "500", "--arrivals", "uniform", "--duration", "1s", "--json"]
    done = produce(queen, tmp_path, *args)
    summary = done.json()
    loop = summary["open_loop"]
    assert done.code == 0, done.err
    assert loop["offered"] == 501
    assert loop["response"]["messages"] == summary["messages"] == 501 - loop["behind"]
    assert (loop["arrivals"], loop["rate_per_s"]) == ("uniform", 500)


def test_a_stall_shows_in_every_message_that_was_due_meanwhile(queen: FakeQueen, tmp_path: Path) -> None:
    args = ["--open-loop", "--rate", "200", "--count", "400", "--concurrency", "1", "--batch", "5", "--json"]
    queen.hold()
    process = start_queen(tmp_path, "produce", "--queue", "q", "--url", queen.url, *args)
    wait_until(queen.reached.is_set, "the first push")
    threading.Timer(1.0, queen.release).start()
    summary = end(process).json()
    loop = summary["open_loop"]
    assert (loop["offered"], summary["messages"], loop["behind"]) == (400, 400, 0)
    # One second at 200 a second: about 200 messages were due, and more than 100 of them waited for half of it.
    assert loop["overflow"] > 100
    assert loop["response"]["max_ms"] > 900
    assert summary["push"]["p50_ms"] < loop["response"]["p99_ms"]
    assert loop["response"]["p99_ms"] > 800


@pytest.mark.spec("R5")
def test_a_target_of_an_open_loop_ends_in_a_verdict(queen: FakeQueen, tmp_path: Path) -> None:
    held = produce(queen, tmp_path, "--open-loop", "--target", "100", "--count", "60")
    assert held.code == 0, held.err
    assert "open loop: 60 due (poisson, seed 1), response p50 " in held.err
    assert "target: reached, " in held.err
    missed = produce(queen, tmp_path, "--open-loop", "--target", "1M", "--duration", "500ms")
    assert missed.code == 1
    assert "target: missed, " in missed.err


def test_a_ramp_ends_with_itself(queen: FakeQueen, tmp_path: Path) -> None:
    done = produce(queen, tmp_path, "--open-loop", "--ramp", "50..350/1s", "--arrivals", "uniform", "--json")
    loop = done.json()["open_loop"]
    assert done.code == 0, done.err
    assert loop["offered"] == pytest.approx(200, abs=2)
    assert (loop["rate_per_s_from"], loop["rate_per_s_to"], loop["ramp_s"]) == (50, 350, 1)


class _Clock(Tally):
    """A tally that runs for as long as it is told."""

    def __init__(self, elapsed_s: float, messages: int) -> None:
        super().__init__("push")
        self._elapsed_s = elapsed_s
        self.count("messages", messages)

    def seconds(self) -> float:
        return self._elapsed_s


def test_the_time_left_is_that_of_the_bound_that_comes_first() -> None:
    reading = Reading(bytes_total=10_000, bytes_read=2_000)
    eta = Eta(_Clock(10, 500), count=1000, duration_s=100, reading=reading)
    assert eta.seconds() == 10
    reading.bytes_read = 9_000
    assert eta.text() == ", 1 s left"
    assert Eta(_Clock(10, 0), reading=Reading(None, 5)).text() == ""
    assert Eta(_Clock(10, 0), count=5).text() == ""
    assert Eta(_Clock(10, 1), count=1000).text() == ", 2.8 h left"


def test_progress_tells_the_time_left_of_a_file_and_nothing_of_a_pipe(queen: FakeQueen, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x\n" * 300)
    done = produce(queen, tmp_path, "--file", "f", "--rate", "150", "--progress", "300ms")
    assert ", failed 0, " in done.err
    assert " s left" in done.err
    piped = warm_command(
        tmp_path, "produce", "--queue", "q", "--url", queen.url, "--file", "-", "--rate", "150", "--progress", "300ms",
        stdin=b"x\n" * 200,
    )  # fmt: skip
    assert "progress: " in piped.err
    assert " left" not in piped.err


@pytest.mark.parametrize(
    "args",
    [
        ["--open-loop"],
        ["--arrivals", "uniform", "--rate", "5"],
        ["--ramp", "1..2/1s"],
        ["--open-loop", "--ramp", "1..2/1s", "--rate", "5"],
        ["--file", "f", "--size", "5"],
        ["--file", "f", "--template", "1"],
        ["--file", "f", "--keys", "zipf"],
        ["--file", "f", "--seed", "1"],
        ["--template", "1", "--size", "5"],
        ["--template", "1", "--template-file", "f"],
        ["--partition-by", "a"],
        ["--template", "1", "--partition-by", "a", "--keys", "zipf"],
        ["--resume", "s"],
        ["--resume", "s", "--file", "-"],
    ],
    ids=" ".join,
)
def test_options_that_contradict_each_other_are_refused(
    args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f").write_text("x\n")
    monkeypatch.chdir(tmp_path)
    assert run(["produce", "--queue", "q", "--url", "http://127.0.0.1:9", "--retry-for", "0", *args]) == 2
    told = capsys.readouterr().err
    assert any(arg in told for arg in args if arg.startswith("--"))
