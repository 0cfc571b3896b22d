"""`queen consume` with commands against a real server: failures, time limits, Ctrl-C, kill -9, long work."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.command import end, queen_command, start_queen, wait_until
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg


def consume(server: EmbeddedServer, home: Path, queue: str, *args: str) -> tuple[int, list[Any], dict[str, Any]]:
    """(exit code, lines of standard output, summary)"""
    done = queen_command(home, "consume", "--queue", queue, "--url", server.url, "--json", *args)
    return done.code, done.lines(), json.loads(done.err.splitlines()[-1])


def test_a_command_that_fails_twice_and_then_works(
    server: EmbeddedServer, api: Api, queue: str, tmp_path: Path
) -> None:
    for partition in "ab":
        api.push_to(queue, [f"{partition}{n}" for n in range(5)], partition)
    command = 'n=$(cat); echo "$n"; echo "$QUEEN_ATTEMPT" >> at; [ "$n" != \'"a2"\' ] || [ "$QUEEN_ATTEMPT" -gt 2 ]'
    code, lines, summary = consume(server, tmp_path, queue, "--until-empty", "--concurrency", "2", "--exec", command)
    assert (code, summary["acked"], summary["handler_failed"], summary["left_failing"]) == (0, 10, 2, 0)
    assert [line for line in lines if line[0] == "a"] == ["a0", "a1", "a2", "a2", "a2", "a3", "a4"]
    assert [line for line in lines if line[0] == "b"] == [f"b{n}" for n in range(5)]
    assert api.pop(queue) is None


def test_a_batch_command_that_fails_and_then_works(
    server: EmbeddedServer, api: Api, queue: str, tmp_path: Path
) -> None:
    api.push_to(queue, range(5), "a")
    command = "cat; [ -e tried ] || { touch tried; exit 9; }"
    code, lines, summary = consume(
        server, tmp_path, queue, "--until-empty", "--exec-batch", command, "--exec-fail-as", "failed"
    )
    assert (code, lines, summary["acked"]) == (0, [*range(5), *range(5)], 5)
    assert (summary["failures"], summary["dead_letters"], summary["failed"]) == ({"exit code 9": 1}, 0, 0)


def test_a_command_that_never_ends_makes_a_dead_letter(
    server: EmbeddedServer, api: Api, queue: str, tmp_path: Path
) -> None:
    api.configure(queue, retryLimit=1)
    api.push_to(queue, [1, 2, 3], "a")
    code, lines, summary = consume(
        server, tmp_path, queue, "--until-empty", "--exec-timeout", "300ms", "--exec-fail-as", "failed",
        "--exec", 'n=$(cat); [ "$n" != 2 ] || sleep 600; echo "$n"',
    )  # fmt: skip
    assert (code, lines) == (1, [1, 3])
    assert (summary["failures"], summary["dead_letters"], summary["acked"]) == ({"timed out": 2}, 1, 2)
    (dead,) = api.http.get("/api/v1/dlq", params={"queue": queue}).json()["messages"]
    assert (dead["data"], dead["errorMessage"]) == (2, "command: timed out")


def test_ctrl_c_acks_nothing_that_was_not_handled(server: EmbeddedServer, api: Api, queue: str, tmp_path: Path) -> None:
    api.push_to(queue, range(4), "a")
    command = 'n=$(cat); [ "$n" -lt 2 ] || { echo $$ > pid; sleep 600; }; echo "$n"'
    process = start_queen(tmp_path, "consume", "--queue", queue, "--url", server.url, "--json", "--exec", command)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "the command")
    process.send_signal(signal.SIGINT)
    done = end(process)
    assert (done.code, done.lines()) == (130, [0, 1])
    pid = (tmp_path / "pid").read_text().strip()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the command")
    # Given back, so they come at once and not when the lease has run out; nothing was charged.
    code, lines, summary = consume(server, tmp_path, queue, "--until-empty", "--exec", "cat")
    assert (code, lines, summary["redelivered"]) == (0, [2, 3], 2)


def test_after_kill_9_the_message_comes_again(server: EmbeddedServer, api: Api, queue: str, tmp_path: Path) -> None:
    api.push_to(queue, range(3), "a")
    command = 'n=$(cat); echo "$n"; [ "$n" != 1 ] || { echo $$ > pid; until [ -e over ]; do sleep 0.1; done; }'
    args = ["--queue", queue, "--url", server.url, "--lease", "2s"]
    process = start_queen(tmp_path, "consume", *args, "--exec", command)
    wait_until(lambda: (tmp_path / "pid").exists(), "the command")
    process.kill()
    (tmp_path / "over").touch()
    end(process)
    done = queen_command(tmp_path, "consume", *args, "--count", "2", "--exec", "cat")
    assert (done.code, done.lines()) == (0, [1, 2])


def test_work_longer_than_the_lease_is_done_once(server: EmbeddedServer, api: Api, queue: str, tmp_path: Path) -> None:
    api.push_to(queue, [1], "a")
    # The server would refuse the ack of a lease that has run out.
    code, lines, summary = consume(server, tmp_path, queue, "--until-empty", "--lease", "1s", "--exec", "cat; sleep 3")
    assert (code, lines, summary["acked"], summary["failed"]) == (0, [1], 1, 0)


def test_made_up_failures_keep_order_and_lose_nothing(
    server: EmbeddedServer, api: Api, queue: str, tmp_path: Path
) -> None:
    for partition in "abc":
        api.push_to(queue, [[partition, n] for n in range(60)], partition)
    code, lines, summary = consume(
        server, tmp_path, queue, "--until-empty", "--concurrency", "3", "--batch", "20", "--fail-share", "0.05",
        "--seed", "5", "--handler", "0ms..1ms",
    )  # fmt: skip
    assert (code, summary["acked"], summary["failed"]) == (0, 180, 0)
    assert summary["handler_failed"] == len(lines) - 180 > 0
    for partition in "abc":
        numbers = [n for name, n in lines if name == partition]
        assert numbers == sorted(numbers)
        assert set(numbers) == set(range(60))


@pytest.mark.parametrize("mode", ["message", "auto"])
def test_each_ack_mode_takes_everything_once(
    server: EmbeddedServer, api: Api, queue: str, tmp_path: Path, mode: str
) -> None:
    for partition in "ab":
        api.push_to(queue, range(20), partition)
    code, lines, summary = consume(server, tmp_path, queue, "--until-empty", "--ack", mode)
    assert (code, sorted(lines), summary["failed"]) == (0, sorted([*range(20), *range(20)]), 0)
    assert api.pop(queue) is None
