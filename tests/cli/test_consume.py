"""`queen consume` as a process against a server in memory."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Done, end, signal_until_gone, start_queen, wait_until, warm_command
from tests.support.fake_queen import FakeQueen, Fault, cut, fake_queen, refuse


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def consume(queen: FakeQueen, home: Path, *args: str) -> Done:
    return warm_command(home, "consume", "--queue", "q", "--url", queen.url, *args)


def completed(queen: FakeQueen) -> int:
    return sum(queen.cursors.values())


@pytest.mark.parametrize("concurrency", ["1", "4"])
def test_everything_is_printed_in_order_and_acked(queen: FakeQueen, tmp_path: Path, concurrency: str) -> None:
    for partition in "abcdef":
        queen.put("q", partition, *({"p": partition, "n": n} for n in range(120)))
    done = consume(queen, tmp_path, "--until-empty", "--concurrency", concurrency, "--batch", "50", "--partitions", "2")
    assert done.code == 0, done.err
    lines = done.lines()
    assert len(lines) == 720
    for partition in "abcdef":
        assert [line["n"] for line in lines if line["p"] == partition] == list(range(120))
    assert completed(queen) == 720
    assert queen.leases == {}
    assert "consumed 720 messages of q" in done.err
    assert "acked 720, redelivered 0, failed 0, returned 0" in done.err


def test_a_payload_is_one_line_as_it_was_sent(queen: FakeQueen, tmp_path: Path) -> None:
    data = b'{"z": 1.10,\r\n "a": [\n1E5, "x\\ny  z"]}'
    message = b'{"id":"i","transactionId":"t","partitionId":"id of p","data":' + data + b"}"
    queen.faults["pop"].append(Fault(status=200, body=b'{"leaseId":"","messages":[' + message + b"]}"))
    done = consume(queen, tmp_path, "--count", "1", "--no-ack")
    assert done.out == b'{"z":1.10,"a":[1E5,"x\\ny  z"]}\n'


def test_a_payload_without_line_ends_keeps_every_byte(queen: FakeQueen, tmp_path: Path) -> None:
    data = b'{"z":  1.10, "a" :[1E5]}'
    message = b'{"id":"i","transactionId":"t","partitionId":"id of p","data":' + data + b"}"
    queen.faults["pop"].append(Fault(status=200, body=b'{"leaseId":"","messages":[' + message + b"]}"))
    assert consume(queen, tmp_path, "--count", "1", "--no-ack").out == data + b"\n"


def test_the_envelope_is_the_whole_message(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", "x")
    (message,) = consume(queen, tmp_path, "--until-empty", "--envelope").lines()
    assert (message["data"], message["partition"], message["id"], message["future"]) == ("x", "a", "a/0", "field")


@pytest.mark.parametrize("concurrency", ["1", "5"])
def test_a_count_is_taken_exactly(queen: FakeQueen, tmp_path: Path, concurrency: str) -> None:
    for partition in "abcdef":
        queen.put("q", partition, *range(100))
    done = consume(queen, tmp_path, "--count", "130", "--batch", "20", "--concurrency", concurrency)
    assert done.code == 0
    assert len(done.lines()) == 130
    assert completed(queen) == 130


def test_groups_read_for_themselves(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1, 2)
    for group in ("g", "h"):
        assert consume(queen, tmp_path, "--until-empty", "--group", group, "--from", "all").lines() == [1, 2]
    assert queen.of("pop")[0].query["consumerGroup"] == "g"
    assert queen.of("pop")[0].query["subscriptionMode"] == "all"


def test_one_partition_and_a_lease_time_can_be_asked_for(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1)
    queen.put("q", "b", 2)
    assert consume(queen, tmp_path, "--until-empty", "--partition", "b", "--lease", "90s").lines() == [2]
    assert queen.of("pop")[0].query["leaseSeconds"] == "90"


def test_without_ack_nothing_is_acked(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1, 2)
    done = consume(queen, tmp_path, "--until-empty", "--no-ack")
    assert (done.code, done.lines()) == (0, [1, 2])
    assert queen.acks == []


def test_an_ack_comes_after_the_line(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", "x")
    process = start_queen(tmp_path, "consume", "--queue", "q", "--url", queen.url, "--handler-ms", "600000")
    assert process.stdout is not None
    assert process.stdout.readline() == b'"x"\n'
    assert queen.acks == []
    # The line was handed over, so the interrupted handler does not keep it from being acked.
    process.send_signal(signal.SIGINT)
    assert end(process).code == 130
    assert [ack["status"] for ack in queen.acks] == ["completed"]


def test_messages_that_come_later_are_printed_at_once(queen: FakeQueen, tmp_path: Path) -> None:
    process = start_queen(tmp_path, "consume", "--queue", "q", "--url", queen.url, "--json")
    assert process.stdout is not None
    assert queen.reached.wait(120)
    for number in range(3):
        queen.put("q", "a", number)
        assert process.stdout.readline() == b"%d\n" % number
    wait_until(lambda: completed(queen) == 3, "the acks")
    process.send_signal(signal.SIGTERM)
    done = end(process)
    assert done.code == 143
    summary = json.loads(done.err.splitlines()[-1])
    assert (summary["command"], summary["ended_by"], summary["messages"], summary["acked"]) == (
        "consume", "interrupted", 3, 3
    )  # fmt: skip


def test_a_closed_pipe_ends_quietly_and_gives_back_what_was_not_written(queen: FakeQueen, tmp_path: Path) -> None:
    for _ in range(50):
        queen.put("q", "a", *(f"{n:01000d}" for n in range(20)))
    process = start_queen(tmp_path, "consume", "--queue", "q", "--url", queen.url, "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    done = end(process)
    assert done.code == 0
    summary = json.loads(done.err)
    assert summary["ended_by"] == "closed pipe"
    statuses = [ack["status"] for ack in queen.acks]
    assert statuses.count("completed") == summary["messages"] < 1000
    assert statuses.count("retry") == summary["returned"] == 100
    assert queen.leases == {}


def test_a_reader_that_stopped_reading_cannot_hold_up_the_end(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", *("x" * 10_000 for _ in range(100)))
    process = start_queen(tmp_path, "consume", "--queue", "q", "--url", queen.url, "--until-empty")
    assert process.stdout is not None
    assert process.stdout.read(10) == b'"xxxxxxxxx'
    signal_until_gone(process, signal.SIGINT)
    assert process.returncode == 130
    end(process)
    assert queen.acks == []


def test_refused_acks_are_told(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1)
    refused = [{"index": 0, "transactionId": "t", "success": False, "error": "invalid or expired lease"}]
    queen.faults["ack"].append(Fault(status=200, body=json.dumps(refused).encode()))
    done = consume(queen, tmp_path, "--count", "1")
    assert (done.code, done.lines()) == (1, [1])
    assert "ack refused: 1 × invalid or expired lease" in done.err


def test_trouble_on_the_way_is_overcome(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", *range(10))
    queen.faults["pop"] += [refuse(503, retry_after=0.01), cut(process=False)]
    queen.faults["ack"] += [refuse(500), cut(process=False)]
    done = consume(queen, tmp_path, "--until-empty")
    assert (done.code, done.lines()) == (0, list(range(10)))
    assert completed(queen) == 10
    assert "retries 4" in done.err


def test_a_duration_ends_the_run(queen: FakeQueen, tmp_path: Path) -> None:
    queen.put("q", "a", 1)
    done = consume(queen, tmp_path, "--duration", "1s")
    assert (done.code, done.lines()) == (0, [1])


def test_an_unreachable_server_is_exit_code_3(tmp_path: Path) -> None:
    with fake_queen() as gone:
        url = gone.url
    done = warm_command(tmp_path, "consume", "--queue", "q", "--url", url, "--retry-for", "0s")
    assert (done.code, done.out) == (3, b"")
    assert f"queen: cannot reach {url}: connection refused (exit 3)" in done.err


@pytest.mark.parametrize(
    "args", [["--batch", "0"], ["--from", "middle"], ["--lease", "x"], ["--url", "h:1"]], ids=" ".join
)
def test_wrong_usage_is_exit_code_2(queen: FakeQueen, tmp_path: Path, args: list[str]) -> None:
    done = consume(queen, tmp_path, *args)
    assert done.code == 2
    assert done.err.startswith("queen: ")
    assert queen.seen == []
