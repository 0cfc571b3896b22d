"""`queen consume --exec` and `--exec-batch` as a process with real children, against a server in memory."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from queen.cli.traffic.commands import variables_of
from queen.client import Message
from queen.settings.schema import RESERVED_VARIABLES
from tests.support.command import Done, end, start_queen, wait_until, warm_command
from tests.support.fake_queen import FakeQueen, fake_queen

FAIL_TWICE = 'n=$(cat); echo "$n" >> seen; [ "$n" != 2 ] || [ "$(grep -c 2 seen)" -gt 2 ]'
"""Fails on the payload 2, twice."""


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def consume(queen: FakeQueen, home: Path, *args: str, kept: str = "") -> tuple[Done, dict[str, Any]]:
    done = warm_command(home, "consume", "--queue", "q", "--url", queen.url, "--json", *args, KEPT=kept)
    return done, json.loads(done.err.splitlines()[-1])


def statuses(queen: FakeQueen) -> list[str]:
    return [ack["status"] for ack in queen.acks]


def alive(pid: int) -> bool:
    """Does the process run? One that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_gets_its_message_and_its_output_is_ours(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "päda $X", {"n": 1}, {"n": 2})
    command = (
        'read -r line; echo "$QUEEN_QUEUE|$QUEEN_PARTITION|$QUEEN_MESSAGE_ID|$QUEEN_TRANSACTION_ID|$QUEEN_ATTEMPT|'
    )
    command += '$QUEEN_GROUP|$KEPT|$line"; echo told >&2'
    done, summary = consume(queen, tmp_path, "--until-empty", "--group", "g", "--exec", command, kept="ours")
    assert done.out.decode().splitlines() == [
        f'q|päda $X|päda $X/{n}|päda $X-{n}|1|g|ours|{{"n": {n + 1}}}' for n in range(2)
    ]
    assert done.err.splitlines()[:-1] == ["told", "told"]
    assert (done.code, summary["messages"], summary["acked"], queen.leases) == (0, 2, 2, {})
    assert [len(seen.body["acknowledgments"]) for seen in queen.of("ack")] == [1, 1]
    assert queen.of("pop")[0].query["leaseSeconds"] == "60"


def test_a_failed_command_holds_back_what_is_behind_it(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1, 2, 3, 4)
    queen.put("q", "b", 5)
    done, summary = consume(queen, tmp_path, "--until-empty", "--exec", FAIL_TWICE)
    assert (tmp_path / "seen").read_text().split() == ["1", "2", "5", "2", "2", "3", "4"]
    assert (done.code, summary["acked"], summary["handler_failed"]) == (0, 5, 2)
    # What was held back had been delivered, too: 2 twice more, 3 and 4 in the end.
    assert summary["redelivered"] == 4
    assert (summary["failures"], summary["left_failing"]) == ({"exit code 1": 2}, 0)
    failed = [ack for ack in queen.acks if ack.get("error")]
    assert [(ack["status"], ack["error"]) for ack in failed] == [("retry", "command: exit code 1")] * 2


def test_acks_of_a_whole_batch_come_in_one_request(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1, 2, 3, 4)
    done, summary = consume(queen, tmp_path, "--until-empty", "--ack", "batch", "--exec", FAIL_TWICE)
    assert (tmp_path / "seen").read_text().split() == ["1", "2", "2", "2", "3", "4"]
    assert statuses(queen)[:4] == ["completed", "retry", "retry", "retry"]
    assert (done.code, summary["acked"], summary["returned"], summary["ack"]["requests"]) == (0, 4, 4, 3)


def test_a_batch_command_gets_lines(queen: FakeQueen, tmp_path: Path) -> None:
    for partition in "ab":
        queen.put("q", partition, *({"p": partition, "n": n} for n in range(3)))
    command = 'echo "$QUEEN_QUEUE $QUEEN_MESSAGES" >&2; cat; [ -e tried ] || { touch tried; exit 3; }'
    done, summary = consume(queen, tmp_path, "--until-empty", "--exec-batch", command, "--exec-fail-as", "failed")
    expected = [{"p": partition, "n": n} for partition in "ab" for n in range(3)]
    assert done.lines() == expected * 2
    assert done.err.splitlines()[:-1] == ["q 6", "q 6"]
    # One failure is charged to each partition, not one to each message.
    assert statuses(queen) == ["failed", "retry", "retry"] * 2 + ["completed"] * 6
    assert (done.code, summary["acked"], summary["handler_failed"]) == (0, 6, 6)


def test_the_envelope_goes_to_the_command(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", "x")
    done, _ = consume(queen, tmp_path, "--until-empty", "--envelope", "--exec", "cat")
    assert [(line["data"], line["id"]) for line in done.lines()] == [("x", "a/0")]


def test_a_count_counts_commands(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", *range(30))
    done, summary = consume(queen, tmp_path, "--count", "15", "--concurrency", "3", "--exec", "cat")
    assert (done.code, done.lines(), summary["acked"]) == (0, list(range(15)), 15)
    assert queen.leases == {}


def test_a_command_that_takes_too_long_is_ended_with_its_children(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1)
    command = "sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1; done' & wait"
    args = ["--count", "1", "--exec-timeout", "500ms", "--exec-fail-as", "failed", "--exec", command]
    done, summary = consume(queen, tmp_path, *args)
    assert (done.code, summary["failures"], summary["left_failing"]) == (1, {"timed out": 1}, 1)
    assert [(ack["status"], ack["error"]) for ack in queen.acks] == [("failed", "command: timed out")]
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not alive(pid), "the end of the grandchild")


def test_the_lease_is_extended_while_a_command_runs(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1)
    process = start_queen(
        tmp_path, "consume", "--queue", "q", "--url", queen.url, "--json", "--count", "1", "--lease", "1s",
        "--exec", "until [ -e go ]; do sleep 0.05; done",
    )  # fmt: skip
    wait_until(lambda: len(queen.of("lease")) >= 2, "two extensions")
    (tmp_path / "go").touch()
    done = end(process)
    assert (done.code, statuses(queen)) == (0, ["completed"])
    assert queen.of("lease")[0].body == {"seconds": 1}


def test_a_lost_lease_stops_the_batch(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1, 2, 3)
    command = "cat; [ -e go ] || { touch begun; until [ -e go ]; do sleep 0.05; done; sleep 1; }"
    process = start_queen(
        tmp_path, "consume", "--queue", "q", "--url", queen.url, "--json", "--count", "3", "--lease", "1s",
        "--exec", command,
    )  # fmt: skip
    wait_until(lambda: (tmp_path / "begun").exists(), "the command")
    queen.leases.clear()
    wait_until(lambda: queen.of("lease"), "an extension that finds nothing")
    (tmp_path / "go").touch()
    done = end(process)
    # The others of that batch were not run; the next one began where the queue stands.
    assert done.lines() == [1, 1, 2]
    summary = json.loads(done.err.splitlines()[-1])
    assert (done.code, summary["errors"], summary["acked"]) == (1, {"invalid or expired lease": 1}, 2)


@pytest.mark.parametrize("whole", [False, True], ids=["message", "batch"])
def test_ctrl_c_ends_the_command_and_gives_its_message_back(queen: FakeQueen, tmp_path: Path, whole: bool) -> None:
    queen.put("q", "a", 1, 2, 3)
    command = '[ -z "$QUEEN_MESSAGES" ] && [ "$(cat)" = 1 ] || { sleep 600 & echo $$ $! > pids; wait; }'
    option = "--exec-batch" if whole else "--exec"
    process = start_queen(tmp_path, "consume", "--queue", "q", "--url", queen.url, "--json", option, command)
    wait_until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().count(" "), "the command")
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(map(alive, pids))
    process.send_signal(signal.SIGINT)
    done = end(process)
    assert done.code == 130
    wait_until(lambda: not any(map(alive, pids)), "the end of the command")
    assert statuses(queen) == (["retry"] * 3 if whole else ["completed", "retry", "retry"])
    assert (queen.leases, sum(queen.cursors.values())) == ({}, 0 if whole else 1)
    summary = json.loads(done.err.splitlines()[-1])
    assert (summary["handler_failed"], summary["messages"]) == (0, 0 if whole else 1)


def test_a_second_ctrl_c_leaves_no_command_behind(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1)
    command = 'trap "" TERM; echo $$ > pid; while :; do sleep 1; done'
    process = start_queen(tmp_path, "consume", "--queue", "q", "--url", queen.url, "--exec", command)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "the command")
    pid = int((tmp_path / "pid").read_text())
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert end(process).code == 130
    wait_until(lambda: not alive(pid), "the end of the command")
    assert "completed" not in statuses(queen)


def test_a_time_limit_lets_a_short_command_finish(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1, 2)
    done, summary = consume(queen, tmp_path, "--duration", "500ms", "--exec", "cat; sleep 1.5")
    assert (done.code, done.lines(), summary["ended_by"]) == (0, [1], "duration")
    assert statuses(queen) == ["completed", "retry"]


def test_a_reader_that_left_is_no_failure_of_the_message(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", *range(100))
    process = start_queen(
        tmp_path, "consume", "--queue", "q", "--url", queen.url, "--json", "--exec", "cat; touch ran; sleep 0.2; echo"
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    done = end(process)
    summary = json.loads(done.err.splitlines()[-1])
    assert (done.code, summary["ended_by"], summary["handler_failed"]) == (0, "closed pipe", 0)
    assert summary["acked"] == summary["messages"] == sum(queen.cursors.values()) <= 1
    assert queen.leases == {}


def test_a_command_that_reads_nothing_is_fine(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", "x" * 1_000_000)
    done, summary = consume(queen, tmp_path, "--until-empty", "--exec", "true")
    assert (done.code, summary["acked"]) == (0, 1)


def test_the_variables_of_a_command_are_no_unknown_settings() -> None:
    """The command may be queen itself."""
    message = Message("i", "t", "p", Raw(b"1"), partition="p", queue="q", consumer_group="g")
    assert set(variables_of([message], whole=False)) | set(variables_of([message], whole=True)) <= set(
        RESERVED_VARIABLES
    )
