"""`queen produce` from files: CSV, several files, ids that are the same in every run, targets and dry runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen.cli.main import run
from queen.cli.traffic.csv_records import CsvRecords
from tests.support.command import Done, warm_command
from tests.support.fake_queen import FakeQueen, fake_queen


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def produce(queen: FakeQueen, home: Path, *args: str, stdin: bytes = b"") -> Done:
    return warm_command(home, "produce", "--queue", "q", "--url", queen.url, *args, stdin=stdin)


def test_csv_records_become_objects(queen: FakeQueen, tmp_path: Path) -> None:
    text = b'\xef\xbb\xbfid;name;note\r\n1;ada;"a ""b"";\r\nc"\r\n\r\n2;;true\r\n'
    args = ["--file", "-", "--format", "csv", "--csv-delimiter", ";", "--csv-types", "--partition-by", "id"]
    done = produce(queen, tmp_path, *args, stdin=text)
    assert done.code == 0, done.err
    assert queen.payloads("q", "1") == [{"id": 1, "name": "ada", "note": 'a "b";\nc'}]
    assert queen.payloads("q", "2") == [{"id": 2, "name": None, "note": True}]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"a,b\n1,2\n3\n", "line 3: 1 fields, but the header has 2"),
        (b"a,a\n1,2\n", "line 1: the header names 'a' twice"),
        (b'a,b\n1,2\n"3,4\n5\n', "line 3: the input ends inside a quoted field"),
    ],
)
def test_bad_csv_names_its_line(queen: FakeQueen, tmp_path: Path, text: bytes, told: str) -> None:
    done = produce(queen, tmp_path, "--file", "-", "--format", "csv", stdin=text)
    assert done.code == 1
    assert f"queen: standard input, {told}" in done.err


_FIELD = st.text(st.characters(exclude_characters="\r\0", codec="utf-8"), max_size=8)


@given(st.lists(st.lists(_FIELD, min_size=2, max_size=2), max_size=5))
def test_what_csv_writes_comes_back(rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["a", "b"], *rows])
    records = CsvRecords()
    taken = [records.take(line.encode()) for line in text.getvalue().split("\n")[:-1]]
    records.finish()
    assert [json.loads(record[0]) for record in taken if record] == [{"a": a, "b": b} for a, b in rows]


def test_files_come_one_after_the_other(queen: FakeQueen, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    (tmp_path / "b").write_text("3\n")
    assert produce(queen, tmp_path, "--file", "a", "--file", "-", "--file", "b", stdin=b"x\n").code == 0
    assert queen.payloads("q", "Default") == ["1", "2", "x", "3"]


@pytest.mark.parametrize("args", [["--transaction-id-from", "order.id"], ["--transaction-id-default", "line"]])
def test_a_file_pushed_twice_is_stored_once(queen: FakeQueen, tmp_path: Path, args: list[str]) -> None:
    (tmp_path / "f.ndjson").write_text("".join(json.dumps({"order": {"id": n}}) + "\n" for n in range(300)))
    assert produce(queen, tmp_path, "--file", "f.ndjson", *args, "--count", "120").code == 0
    again = produce(queen, tmp_path, "--file", "f.ndjson", *args, "--json").json()
    assert (again["queued"], again["duplicate"]) == (180, 120)
    assert [payload["order"]["id"] for payload in queen.payloads("q", "Default")] == list(range(300))


def test_equal_lines_are_records_of_their_own(queen: FakeQueen, tmp_path: Path) -> None:
    assert produce(queen, tmp_path, "--file", "-", "--transaction-id-default", "line", stdin=b"x\nx\n").code == 0
    assert queen.payloads("q", "Default") == ["x", "x"]


def test_a_line_without_the_id_ends_the_run_or_gets_one(queen: FakeQueen, tmp_path: Path) -> None:
    args = ["--file", "-", "--transaction-id-from", "id"]
    done = produce(queen, tmp_path, *args, stdin=b'{"id":1}\n{"no":2}\n')
    assert done.code == 1
    assert "line 2: no text or number in the field 'id' for the transaction id" in done.err
    done = produce(queen, tmp_path, *args, "--transaction-id-default", "line", stdin=b'{"id":1}\n{"no":2}\n')
    assert done.code == 0
    assert queen.payloads("q", "Default") == [{"id": 1}, {"no": 2}]


@pytest.mark.spec("R5")
def test_a_target_ends_in_a_verdict(queen: FakeQueen, tmp_path: Path) -> None:
    held = produce(queen, tmp_path, "--target", "25", "--count", "50")
    assert held.code == 0, held.err
    assert "target: reached, " in held.err
    assert " of 25 msg/s" in held.err
    missed = produce(queen, tmp_path, "--target", "100M", "--duration", "1500ms")
    assert missed.code == 1
    assert "target: missed, " in missed.err


def test_a_dry_run_sends_nothing(queen: FakeQueen, tmp_path: Path) -> None:
    done = produce(queen, tmp_path, "--dry-run", "--file", "-", "--partitions", "3", stdin=b"x\n" * 50)
    assert (done.code, len(done.lines())) == (0, 10)
    assert done.lines()[1]["partition"] == "p1"
    assert "dry run: 50 messages, 150 bytes of payload, 3 partitions of q; nothing was sent" in done.err
    endless = produce(queen, tmp_path, "--dry-run", "--json").json()
    assert (endless["messages"], endless["endless"], len(endless["first"])) == (10, True, 10)
    assert queen.seen == []


@pytest.mark.parametrize(
    "args",
    [
        ["--rate", "1", "--target", "1"],
        ["--transaction-id-from", "a"],
        ["--file", "-", "--csv-types"],
        ["--format", "csv"],
        ["--file", "-", "--format", "csv", "--csv-delimiter", "ab"],
        ["--file", "-", "--file", "-"],
    ],
    ids=" ".join,
)
def test_options_that_contradict_each_other_are_refused(queen: FakeQueen, tmp_path: Path, args: list[str]) -> None:
    done = produce(queen, tmp_path, *args)
    assert done.code == 2
    assert queen.seen == []


def test_the_help_page_groups_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["produce", "--help"]) == 0
    page = capsys.readouterr().out
    heads = [line for line in page.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert heads == [
        "Which messages:",
        "Messages from files:",
        "Messages that are made:",
        "Partitions:",
        "Pace and end:",
        "Server:",
        "Output:",
        "Options:",
    ]
    assert page.index("Pace and end:") < page.index("\n  --open-loop") < page.index("\nOptions:\n")
    assert page.count("queen produce --queue") == 2
