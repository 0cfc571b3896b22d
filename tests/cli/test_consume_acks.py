"""The ack modes of `queen consume`, its handler time and its made-up failures, against a server in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from queen.cli.traffic.pretend import Pretence, Pretender
from queen.client import Message
from tests.support.command import Done, end, start_queen, warm_command
from tests.support.fake_queen import FakeQueen, fake_queen


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def consume(queen: FakeQueen, home: Path, *args: str) -> tuple[Done, dict[str, Any]]:
    done = warm_command(home, "consume", "--queue", "q", "--url", queen.url, "--json", *args)
    return done, json.loads(done.err.splitlines()[-1])


def test_an_ack_for_each_message(queen: FakeQueen, tmp_path: Path) -> None:
    for partition in "ab":
        queen.put("q", partition, *range(5))
    done, summary = consume(queen, tmp_path, "--until-empty", "--ack", "message")
    assert done.lines() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert [len(seen.body["acknowledgments"]) for seen in queen.of("ack")] == [1] * 10
    assert (summary["acked"], summary["ack"]["requests"], queen.leases) == (10, 10, {})


def test_the_server_acks_at_delivery(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", *range(5))
    done, summary = consume(queen, tmp_path, "--until-empty", "--ack", "auto")
    assert (done.code, done.lines()) == (0, list(range(5)))
    assert queen.of("pop")[0].query["autoAck"] == "true"
    assert (queen.acks, sum(queen.cursors.values()), summary["lost"]) == ([], 5, 0)


@pytest.mark.parametrize("mode", ["message", "auto"])
def test_a_closed_pipe_is_told_in_the_summary(queen: FakeQueen, tmp_path: Path, mode: str) -> None:
    for _ in range(20):
        queen.put("q", "a", *(f"{n:05000d}" for n in range(20)))
    process = start_queen(tmp_path, "consume", "--queue", "q", "--url", queen.url, "--json", "--ack", mode)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    done = end(process)
    summary = json.loads(done.err)
    assert (done.code, summary["ended_by"]) == (0, "closed pipe")
    cursor = sum(queen.cursors.values())
    if mode == "message":
        # What was acked was written, and what was not written is free for others.
        assert summary["acked"] == summary["messages"] == cursor < 400
        assert (summary["returned"] > 0, summary["lost"], queen.leases) == (True, 0, {})
    else:
        assert summary["lost"] == cursor - summary["messages"] > 0


@pytest.mark.parametrize("mode", ["batch", "message"])
def test_a_failed_message_comes_again_before_those_behind_it(queen: FakeQueen, tmp_path: Path, mode: str) -> None:
    for partition in "abc":
        queen.put("q", partition, *(f"{partition}{n}" for n in range(40)))
    args = ["--until-empty", "--fail-share", "0.1", "--seed", "7", "--ack", mode, "--batch", "20"]
    done, summary = consume(queen, tmp_path, *args)
    lines = done.lines()
    assert (done.code, summary["acked"], summary["messages"]) == (0, 120, len(lines))
    assert summary["handler_failed"] == len(lines) - 120 > 0
    assert summary["returned"] > 0
    for partition in "abc":
        seen = [line for line in lines if line[0] == partition]
        # Each is printed until it succeeds, and only then the next one.
        assert list(dict.fromkeys(seen)) == [f"{partition}{n}" for n in range(40)]
        assert seen == sorted(seen, key=lambda line: int(line[1:]))
    again, _ = consume(queen, tmp_path, "--group", "other", *args)
    assert again.lines() == lines, "the same seed, the same failures"


def test_failures_can_count_towards_the_dead_letters(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", *range(30))
    done, _ = consume(queen, tmp_path, "--until-empty", "--fail-share", "0.2", "--fail-as", "failed", "--seed", "1")
    assert done.code == 0
    failed = [ack for ack in queen.acks if ack["status"] == "failed"]
    assert failed
    assert failed[0]["error"] == "failed by --fail-share"


def _messages(*partitions: str) -> list[Message]:
    return [Message(str(n), str(n), partition, Raw(b"1")) for n, partition in enumerate(partitions)]


def test_handler_times_lie_in_their_range_and_repeat() -> None:
    first, second = (Pretender(Pretence(5.0, 20.0, 0.0, 3)) for _ in range(2))
    times = [first.work_s(1) for _ in range(200)]
    assert times == [second.work_s(1) for _ in range(200)]
    assert 0.005 <= min(times) < 0.007
    assert 0.018 < max(times) <= 0.020
    assert Pretender(Pretence(5.0, 5.0)).work_s(10) == pytest.approx(0.05)


def test_nothing_is_handled_behind_a_failure_of_its_partition() -> None:
    pretender = Pretender(Pretence(fail_share=0.3, seed=2))
    failed = 0
    for _ in range(200):
        messages = _messages(*"aabbabab")
        drawn = pretender.draw(messages)
        assert sorted([*drawn.handled, *drawn.behind]) == list(range(8))
        failed += len(drawn.failing)
        for partition in "ab":
            places = [place for place, message in enumerate(messages) if message.partition_id == partition]
            failing = [place for place in places if place in drawn.failing]
            assert len(failing) <= 1
            assert [place for place in places if place in drawn.behind] == (
                [place for place in places if place > failing[0]] if failing else []
            )
    assert 200 < failed < 400
