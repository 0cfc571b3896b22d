"""`queen produce` as a process against a server in memory."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, Done, end, signal_until_gone, start_queen, wait_until, warm_command
from tests.support.fake_queen import FakeQueen, cut, fake_queen, refuse


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def produce(queen: FakeQueen, home: Path, *args: str, stdin: bytes = b"", **variables: str) -> Done:
    return warm_command(home, "produce", "--queue", "q", "--url", queen.url, *args, stdin=stdin, **variables)


def numbers(queen: FakeQueen, partition: str) -> list[int]:
    return [payload["n"] for payload in queen.payloads("q", partition)]


def test_generated_messages_are_spread_over_ten_partitions_in_order(queen: FakeQueen, tmp_path: Path) -> None:
    done = produce(queen, tmp_path, "--count", "250", "--size", "300")
    assert done.code == 0
    assert done.out == b""
    assert {partition for _, partition in queen.logs} == {f"p{index}" for index in range(10)}
    for index in range(10):
        assert numbers(queen, f"p{index}") == list(range(index, 250, 10))
    assert {len(json.dumps(payload, separators=(",", ":"))) for payload in queen.all_payloads("q")} == {300}
    assert re.search(r"^produced 250 messages to q in [\d.]+ s: [\d.]+ msg/s$", done.err, re.M)
    assert re.search(r"^push: \d+ requests, p50 [\d.]+ ms, p99 [\d.]+ ms; duplicate 0,", done.err, re.M)


def test_the_json_summary_is_one_object_on_standard_output(queen: FakeQueen, tmp_path: Path) -> None:
    done = produce(queen, tmp_path, "--count", "30", "--json")
    summary = done.json()
    assert (summary["schema_version"], summary["command"], summary["ended_by"]) == (1, "produce", "done")
    assert (summary["messages"], summary["queued"], summary["unknown"], summary["failed"]) == (30, 30, 0, 0)
    assert summary["push"]["requests"] == len(queen.of("push"))
    assert done.err == ""


def interrupted(queen: FakeQueen, home: Path, *args: str, **variables: str) -> dict[str, Any]:
    """The summary of an endless run that is interrupted after its first requests."""
    process = start_queen(home, "produce", "--queue", "q", "--url", queen.url, "--json", *args, **variables)
    wait_until(lambda: len(queen.of("push")) >= 3, "pushes")
    process.send_signal(signal.SIGINT)
    done = end(process)
    assert done.code == 130, done.err
    return dict(done.json())


@pytest.mark.spec("R5")
def test_an_endless_run_has_safe_defaults(queen: FakeQueen, tmp_path: Path) -> None:
    summary = interrupted(queen, tmp_path)
    assert (summary["batch"], summary["concurrency"], summary["rate_per_s_max"]) == (100, 4, 1000)
    assert "target_per_s" not in summary
    assert max(len(push.body["items"]) for push in queen.of("push")) <= 100


@pytest.mark.spec("R5")
@pytest.mark.parametrize("way", ["variable", "flag"])
def test_high_performance_mode_sends_more_at_once_without_a_limit(queen: FakeQueen, tmp_path: Path, way: str) -> None:
    args, variables = (["--high-perf"], {}) if way == "flag" else ([], {"HIGH_PERF": "true"})
    summary = interrupted(queen, tmp_path, *args, **variables)
    assert (summary["batch"], summary["concurrency"], summary["rate_per_s_max"]) == (500, 8, None)
    assert summary["target_per_s"] == 10_000
    assert summary["target_reached"] == (summary["rate_per_s"] >= 10_000)
    assert max(len(push.body["items"]) for push in queen.of("push")) == 500


@pytest.mark.spec("R5")
def test_flags_win_over_the_mode(queen: FakeQueen, tmp_path: Path) -> None:
    args = ["--no-high-perf", "--count", "100", "--json"]
    assert produce(queen, tmp_path, *args, HIGH_PERF="true").json()["batch"] == 100
    chosen = ["--high-perf", "--batch", "7", "--concurrency", "2", "--rate", "50k", "--count", "100", "--json"]
    summary = produce(queen, tmp_path, *chosen).json()
    assert (summary["batch"], summary["concurrency"], summary["rate_per_s_max"]) == (7, 2, 50_000)


def test_a_duration_ends_the_run_without_losing_anything(queen: FakeQueen, tmp_path: Path) -> None:
    done = produce(queen, tmp_path, "--duration", "300ms", "--json")
    summary = done.json()
    assert done.code == 0
    assert (summary["ended_by"], summary["unknown"], summary["unsent"]) == ("done", 0, 0)
    assert summary["messages"] == len(queen.all_payloads("q")) > 0


def test_ndjson_lines_are_payloads_in_order_in_one_partition(queen: FakeQueen, tmp_path: Path) -> None:
    records = [{"n": n, "text": "ü\n", "big": 10**30} for n in range(500)]
    file = tmp_path / "records.ndjson"
    file.write_text("\n\n".join(json.dumps(record) for record in records))
    done = produce(queen, tmp_path, "--file", str(file))
    assert done.code == 0
    assert queen.payloads("q", "Default") == records
    assert len(queen.of("push")) < 20


def test_plain_lines_become_texts(queen: FakeQueen, tmp_path: Path) -> None:
    text = '\ufeffone\r\n\n[12:00] two\n"three"\nvier ü'.encode()
    done = produce(queen, tmp_path, "--file", "-", stdin=text)
    assert done.code == 0
    assert queen.payloads("q", "Default") == ["one", "", "[12:00] two", '"three"', "vier ü"]


def test_the_format_can_be_told(queen: FakeQueen, tmp_path: Path) -> None:
    assert produce(queen, tmp_path, "--file", "-", "--format", "lines", stdin=b'{"a":1}\n').code == 0
    assert produce(queen, tmp_path, "--file", "-", "--format", "ndjson", stdin=b"2\nnull\n").code == 0
    assert queen.payloads("q", "Default") == ['{"a":1}', 2, None]


def test_a_field_names_the_partition(queen: FakeQueen, tmp_path: Path) -> None:
    places = ["x", 7, True, 1.5, "x", "ü/%"]
    stdin = b"".join(json.dumps({"n": n, "at": {"place": place}}).encode() + b"\n" for n, place in enumerate(places))
    done = produce(queen, tmp_path, "--file", "-", "--partition-by", "at.place", stdin=stdin)
    assert done.code == 0, done.err
    assert {partition: numbers(queen, partition) for _, partition in queen.logs} == {
        "x": [0, 4],
        "7": [1],
        "true": [2],
        "1.5": [3],
        "ü/%": [5],
    }


def test_partitions_take_the_lines_of_a_file_in_turn(queen: FakeQueen, tmp_path: Path) -> None:
    assert produce(queen, tmp_path, "--file", "-", "--partitions", "2", stdin=b"a\nb\nc\n").code == 0
    assert (queen.payloads("q", "p0"), queen.payloads("q", "p1")) == (["a", "c"], ["b"])


@pytest.mark.parametrize(
    ("line", "args", "told"),
    [
        (b'{"n":3', [], "line 3: not JSON: Input data was truncated"),
        (b'{"n":3} x', [], "line 3: not JSON"),
        (b'{"n":"\xff"}', [], "line 3: not UTF-8: byte 7"),
        (b'{"m":3}', ["--partition-by", "n"], "line 3: no text or number in the field 'n'"),
        (b'{"n":null}', ["--partition-by", "n"], "line 3: no text or number in the field 'n'"),
        (b'{"n":[]}', ["--partition-by", "n"], "line 3: no text or number in the field 'n'"),
        (b"[3]", ["--partition-by", "n"], "line 3: no text or number in the field 'n'"),
        (b'{"n":"' + b"x" * 256 + b'"}', ["--partition-by", "n"], "line 3: the field 'n' is too long"),
    ],
)
def test_a_line_that_cannot_be_sent_ends_the_run_after_those_before_it(
    queen: FakeQueen, tmp_path: Path, line: bytes, args: list[str], told: str
) -> None:
    done = produce(queen, tmp_path, "--file", "-", *args, stdin=b'{"n":1}\n{"n":2}\n' + line + b'\n{"n":4}\n')
    assert done.code == 1
    assert f"queen: standard input, {told}" in done.err
    assert "hint: " in done.err
    assert "produced 2 messages" in done.err
    assert sorted(payload["n"] for payload in queen.all_payloads("q")) == [1, 2]


def test_lines_without_the_field_go_to_the_default_partition(queen: FakeQueen, tmp_path: Path) -> None:
    args = ["--file", "-", "--partition-by", "n", "--partition-default", "rest"]
    assert produce(queen, tmp_path, *args, stdin=b'{"n":"a"}\n{"m":1}\n').code == 0
    assert {partition for _, partition in queen.logs} == {"a", "rest"}


def test_a_line_is_sent_while_the_pipe_stays_open(queen: FakeQueen, tmp_path: Path) -> None:
    process = start_queen(tmp_path, "produce", "--queue", "q", "--url", queen.url, "--file", "-")
    assert process.stdin is not None
    process.stdin.write(b"first\n")
    process.stdin.flush()
    wait_until(lambda: queen.payloads("q", "Default") == ["first"], "the first line")
    process.stdin.write(b"second\n")
    assert end(process).code == 0
    assert queen.payloads("q", "Default") == ["first", "second"]


def test_order_and_single_copies_survive_a_troubled_server(queen: FakeQueen, tmp_path: Path) -> None:
    queen.faults["push"] += [
        refuse(503, retry_after=0.05), cut(process=True), refuse(500), cut(process=False), cut(process=True)
    ]  # fmt: skip
    done = produce(queen, tmp_path, "--count", "2000", "--json")
    assert done.code == 0
    for index in range(10):
        assert numbers(queen, f"p{index}") == list(range(index, 2000, 10))
    summary = done.json()
    assert summary["messages"] == 2000
    assert summary["retries"] == 5
    assert summary["duplicate"] == 2000 - summary["queued"] > 0


def test_one_push_at_a_time_carries_a_partition(queen: FakeQueen, tmp_path: Path) -> None:
    assert (
        produce(queen, tmp_path, "--count", "600", "--partitions", "3", "--concurrency", "3", "--batch", "50").code == 0
    )
    carried = [{item["partition"] for item in push.body["items"]} for push in queen.of("push")]
    assert all(len(partitions) == 1 for partitions in carried)
    assert max(len(push.body["items"]) for push in queen.of("push")) == 50


def test_failed_messages_are_counted_and_make_exit_code_1(queen: FakeQueen, tmp_path: Path) -> None:
    queen.fail_item = lambda item: "payload not liked" if item["payload"]["n"] % 10 == 3 else None
    done = produce(queen, tmp_path, "--count", "50")
    assert done.code == 1
    assert "produced 45 messages" in done.err
    assert "failed 5," in done.err
    assert "failed: 5 × payload not liked" in done.err


def test_a_refused_push_ends_the_run_with_the_servers_words(queen: FakeQueen, tmp_path: Path) -> None:
    queen.faults["push"].append(refuse(400, "bad body: queue", hint="name one"))
    done = produce(queen, tmp_path, "--count", "10", "--concurrency", "1")
    assert done.code == 1
    assert "queen: bad body: queue (exit 1)\nhint: name one" in done.err
    assert "failed 10," in done.err
    assert len(queen.of("push")) == 1


def test_an_overloaded_server_is_told_after_the_patience(queen: FakeQueen, tmp_path: Path) -> None:
    queen.faults["push"] += [refuse(503, "too busy", retry_after=0.01)] * 1000
    done = produce(queen, tmp_path, "--count", "1", "--retry-for", "100ms")
    assert done.code == 3
    assert "queen: too busy (exit 3)" in done.err


def test_an_unreachable_server_is_exit_code_3(tmp_path: Path) -> None:
    with fake_queen() as gone:
        url = gone.url
    done = warm_command(tmp_path, "produce", "--queue", "q", "--count", "1", "--retry-for", "0s", QUEEN_URL=url)
    assert done.code == 3
    assert done.err.splitlines()[0] == f"queen: cannot reach {url}: connection refused (exit 3)"
    assert "queen serve" in done.err
    assert "produced" not in done.err


@pytest.mark.parametrize(
    "args",
    [
        ["--rate", "0"],
        ["--rate", "fast"],
        ["--size", "-1"],
        ["--size", "17MiB"],
        ["--batch", "0"],
        ["--count", "0"],
        ["--duration", "soon"],
        ["--url", "nonsense"],
        ["--partition-by", "a"],
        ["--file", "-", "--partition-default", "a"],
        ["--file", "-", "--partition-by", "a", "--partitions", "3"],
        ["--file", "missing.ndjson"],
        ["--file", "."],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(queen: FakeQueen, tmp_path: Path, args: list[str]) -> None:
    done = produce(queen, tmp_path, *args)
    assert done.code == 2
    assert done.err.startswith("queen: ")
    assert "Traceback" not in done.err
    assert queen.seen == []


def test_partitioning_plain_lines_by_a_field_is_refused(queen: FakeQueen, tmp_path: Path) -> None:
    done = produce(queen, tmp_path, "--file", "-", "--partition-by", "a", stdin=b"text\n")
    assert done.code == 1
    assert "standard input holds plain lines" in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_what_is_in_flight_finish(
    queen: FakeQueen, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    queen.hold()
    process = start_queen(tmp_path, "produce", "--queue", "q", "--url", queen.url, "--json")
    assert queen.reached.wait(120)
    process.send_signal(number)
    queen.release()
    done = end(process)
    summary = done.json()
    assert done.code == code
    assert summary["ended_by"] == "interrupted"
    assert summary["unknown"] == 0
    assert summary["messages"] == len(queen.all_payloads("q")) > 0


@pytest.mark.parametrize("every_s", [0.3, 0.003])
def test_a_second_signal_ends_at_once_however_many_follow(queen: FakeQueen, tmp_path: Path, every_s: float) -> None:
    queen.hold()
    process = start_queen(tmp_path, "produce", "--queue", "q", "--url", queen.url, "--json")
    assert queen.reached.wait(120)
    signal_until_gone(process, signal.SIGINT, every_s)
    done = end(process)
    assert done.code == 130
    assert done.json()["unknown"] > 0
    queen.release()


def test_interrupted_input_tells_how_much_was_read_but_not_sent(queen: FakeQueen, tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("line\n" * 1000)
    args = ["produce", "--queue", "q", "--url", queen.url, "--json", "--file", str(file), "--batch", "10"]
    queen.hold()
    process = start_queen(tmp_path, *args)
    assert queen.reached.wait(120)
    process.send_signal(signal.SIGINT)
    wait_until(lambda: _caught(process.pid, signal.SIGINT), "the signal to be taken")
    queen.release()
    summary = end(process).json()
    assert summary["messages"] + summary["unsent"] == 1000
    assert summary["messages"] == len(queen.all_payloads("q"))


def _caught(pid: int, number: signal.Signals) -> bool:
    """Whether the process has no such signal waiting any more."""
    status = Path(f"/proc/{pid}/status").read_text()
    waiting = int(re.findall(r"^ShdPnd:\s*([0-9a-f]+)", status, re.M)[0], 16)
    return not waiting >> (number - 1) & 1


def test_progress_is_one_greppable_line_an_interval(queen: FakeQueen, tmp_path: Path) -> None:
    process = start_queen(tmp_path, "produce", "--queue", "q", "--url", queen.url, "--progress", "50ms")
    assert process.stderr is not None
    pattern = rb"progress: [\d.]+ s, \d+ messages, [\d.]+ msg/s, p50 ([\d.]+ ms|-), p99 ([\d.]+ ms|-), failed 0\n"
    for _ in range(2):
        assert re.fullmatch(pattern, process.stderr.readline())
    process.send_signal(signal.SIGINT)
    assert end(process).code == 130


def test_quiet_says_nothing(queen: FakeQueen, tmp_path: Path) -> None:
    done = produce(queen, tmp_path, "--count", "10", "--quiet", "--progress", "1ms")
    assert (done.code, done.out, done.err) == (0, b"", "")


def test_a_terminal_sees_a_redrawn_line_and_gets_its_cursor_back(queen: FakeQueen, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "queen", "produce", "--queue", "q", "--url", queen.url],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    screen = b""
    while b"msg/s" not in screen:
        screen += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    try:
        while more := os.read(ours, 4096):
            screen += more
    except OSError:
        # The other end is closed: that is how a terminal says "end of file".
        pass
    os.close(ours)
    assert process.wait(120) == 130
    assert screen.rindex(b"\x1b[?25h") > screen.rindex(b"\x1b[?25l")
    assert b"produced " in screen
