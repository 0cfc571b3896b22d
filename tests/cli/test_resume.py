"""`queen produce --resume`: what counts as acknowledged, what the state file accepts, and where the next run begins."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen.cli.traffic.files import file_messages
from queen.cli.traffic.lines import LineOptions
from queen.cli.traffic.place import Place
from queen.cli.traffic.resume_file import ResumeFile
from queen.cli.traffic.settled import Settled
from queen.errors import ResumeRefused
from tests.support.command import Done, end, start_queen, wait_until, warm_command
from tests.support.fake_queen import FakeQueen, fake_queen, refuse


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def produce(queen: FakeQueen, home: Path, *args: str) -> Done:
    return warm_command(home, "produce", "--queue", "q", "--url", queen.url, "--resume", "state", *args)


def write(path: Path, numbers: range) -> None:
    path.write_text("".join(json.dumps({"n": n}) + "\n" for n in numbers))


def stored(queen: FakeQueen) -> list[int]:
    return sorted(payload["n"] for payload in queen.all_payloads("q"))


_STEPS = st.lists(st.tuples(st.sampled_from(["take", "answer", "refuse", "note"]), st.integers(0, 2)), max_size=60)


@given(_STEPS, st.integers(0, 3))
def test_only_an_unbroken_run_of_acknowledged_messages_counts(steps: list[tuple[str, int]], skip: int) -> None:
    settled, taken = Settled(3, Place(), skip), 0
    lanes: list[list[int]] = [[], [], []]
    known: dict[int, bool] = {}
    places = {Place(): -skip}
    for step, lane in steps:
        if step == "take":
            settled.take(lane)
            lanes[lane].append(taken)
            taken += 1
        elif step == "note":
            places[Place(offset=len(places))] = taken
            settled.note(Place(offset=len(places) - 1))
        elif lanes[lane]:
            settled.answer(lane, [step == "answer"])
            known[lanes[lane].pop(0)] = step == "answer"
        unbroken = next(number for number in range(taken + 1) if not known.get(number, False))
        place, more = settled.position()
        assert settled.acknowledged == unbroken
        assert (places[place] + more, more >= 0) == (unbroken, True)
        assert all(before <= places[place] for before in places.values() if before <= unbroken)


def test_messages_that_were_dropped_do_not_count() -> None:
    settled = Settled(1, Place())
    for _ in range(2):
        settled.take(0)
    settled.answer(0, [True])
    settled.abandon(0)
    settled.take(0)
    settled.answer(0, [True])
    assert settled.position() == (Place(), 1)


def test_a_second_run_goes_on_where_the_first_one_ended(queen: FakeQueen, tmp_path: Path) -> None:
    write(tmp_path / "a", range(1000))
    write(tmp_path / "b", range(1000, 1500))
    args = ["--file", "a", "--file", "b", "--partitions", "3", "--batch", "7", "--json"]
    first = produce(queen, tmp_path, *args, "--count", "1100").json()
    assert (first["queued"], first["resume"]["messages_acknowledged"]) == (1100, 1100)
    second = produce(queen, tmp_path, *args).json()
    assert (second["queued"], second["duplicate"], second["resume"]["messages_before"]) == (400, 0, 1100)
    assert stored(queen) == list(range(1500))
    for index in range(3):
        expected = [*range(index, 1000, 3), *range(1000 + index, 1500, 3)]
        assert [payload["n"] for payload in queen.payloads("q", f"p{index}")] == expected
    third = produce(queen, tmp_path, *args).json()
    assert (third["messages"], third["resume"]["messages_acknowledged"]) == (0, 1500)


def test_csv_goes_on_behind_its_header_and_large_files_in_their_middle(queen: FakeQueen, tmp_path: Path) -> None:
    rows = "".join(f'{n},"{"x" * 50}\nsecond line"\n' for n in range(12_000))
    (tmp_path / "f.csv").write_text(f"n,text\n{rows}")
    args = ["--file", "f.csv", "--format", "csv", "--csv-types"]
    assert produce(queen, tmp_path, *args, "--count", "9001").code == 0
    state = json.loads((tmp_path / "state").read_text())
    assert state["place"]["offset"] > 256 * 1024
    assert 0 < state["skip"] < 9001
    done = produce(queen, tmp_path, *args, "--json").json()
    assert (done["queued"], done["duplicate"]) == (2999, 0)
    assert stored(queen) == list(range(12_000))


def test_no_place_is_noted_while_messages_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "f", range(60_000))
    handed_out, noted = 0, []

    async def read() -> None:
        nonlocal handed_out
        source = file_messages(
            [str(tmp_path / "f")],
            LineOptions("q"),
            skip=45_000,
            note=lambda place: noted.append((handed_out, place.messages)),
        )
        async for chunk in source:
            handed_out += len(chunk)

    asyncio.run(read())
    assert handed_out == 15_000
    assert noted
    assert all(45_000 + so_far == messages for so_far, messages in noted)


def test_a_killed_run_is_taken_up_and_every_record_is_stored_once(queen: FakeQueen, tmp_path: Path) -> None:
    write(tmp_path / "f", range(4000))
    args = ["--file", "f", "--partitions", "5", "--batch", "10"]
    process = start_queen(
        tmp_path, "produce", "--queue", "q", "--url", queen.url, "--resume", "state", *args, "--rate", "150"
    )
    wait_until(lambda: (tmp_path / "state").exists() and json.loads(_state(tmp_path))["messages"] > 0, "a state")
    process.send_signal(signal.SIGKILL)
    end(process)
    before = json.loads(_state(tmp_path))["messages"]
    assert 0 < before <= len(queen.all_payloads("q")) < 4000
    done = produce(queen, tmp_path, *args, "--json").json()
    assert done["messages"] == 4000 - before
    assert stored(queen) == list(range(4000))


def _state(home: Path) -> bytes:
    return (home / "state").read_bytes()


def test_refused_messages_are_tried_again(queen: FakeQueen, tmp_path: Path) -> None:
    write(tmp_path / "f", range(50))
    queen.fail_item = lambda item: "no" if item["payload"]["n"] == 20 else None
    assert produce(queen, tmp_path, "--file", "f").code == 1
    assert json.loads(_state(tmp_path))["messages"] == 20
    queen.fail_item = lambda item: None
    assert produce(queen, tmp_path, "--file", "f").code == 0
    assert stored(queen) == list(range(50))


def test_a_push_without_an_answer_is_not_acknowledged(queen: FakeQueen, tmp_path: Path) -> None:
    write(tmp_path / "f", range(50))
    queen.faults["push"].append(refuse(400, "no"))
    assert produce(queen, tmp_path, "--file", "f").code == 1
    assert json.loads(_state(tmp_path))["messages"] == 0


@pytest.mark.parametrize("change", ["shrunk", "begins otherwise", "edited", "replaced", "line goes on"])
def test_another_file_is_refused(tmp_path: Path, change: str) -> None:
    file, state = tmp_path / "f", tmp_path / "state"
    write(file, range(100))
    text = file.read_text().removesuffix("\n")
    file.write_text(text)
    ResumeFile(state, [str(file)], {}).write(Place(offset=len(text), line=100, messages=100), 0, 100)
    assert ResumeFile(state, [str(file)], {}).messages == 100
    if change == "shrunk":
        file.write_text(text[:-9])
    elif change == "begins otherwise":
        file.write_text(text.replace('{"n": 0}', '{"n": 7}') + "\n")
    elif change == "edited":
        os.utime(file, ns=(1, 1))
    elif change == "replaced":
        write(tmp_path / "g", range(100))
        (tmp_path / "g").replace(file)
    else:
        file.write_text(text + " \n")
    with pytest.raises(ResumeRefused, match=r"since .*state was written"):
        ResumeFile(state, [str(file)], {})


def test_files_that_were_not_begun_may_change(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("1\n")
    (tmp_path / "g").write_text("2\n")
    names = [str(tmp_path / "f"), str(tmp_path / "g")]
    ResumeFile(tmp_path / "state", names, {}).write(Place(offset=2), 0, 1)
    (tmp_path / "g").write_text("")
    assert ResumeFile(tmp_path / "state", names, {}).place == Place(offset=2)


def test_a_file_that_grew_at_its_end_is_gone_on_with(queen: FakeQueen, tmp_path: Path) -> None:
    write(tmp_path / "f", range(100))
    assert produce(queen, tmp_path, "--file", "f").code == 0
    with (tmp_path / "f").open("a") as file:
        file.write('{"n": 100}\n')
    assert produce(queen, tmp_path, "--file", "f", "--json").json()["queued"] == 1
    assert stored(queen) == list(range(101))


def test_a_state_of_another_run_and_no_state_at_all_are_refused(queen: FakeQueen, tmp_path: Path) -> None:
    write(tmp_path / "f", range(10))
    write(tmp_path / "g", range(10))
    assert produce(queen, tmp_path, "--file", "f").code == 0
    seen = len(queen.seen)
    other = produce(queen, tmp_path, "--file", "f", "--partitions", "2")
    assert (other.code, "another number of partitions" in other.err) == (4, True)
    other = produce(queen, tmp_path, "--file", "g")
    assert (other.code, "other files" in other.err) == (4, True)
    (tmp_path / "state").write_text("my diary")
    other = produce(queen, tmp_path, "--file", "f")
    assert (other.code, "is no state of queen produce" in other.err) == (4, True)
    assert (tmp_path / "state").read_text() == "my diary"
    assert len(queen.seen) == seen


def test_a_state_that_cannot_be_written_shows_before_anything_is_sent(queen: FakeQueen, tmp_path: Path) -> None:
    write(tmp_path / "f", range(10))
    done = warm_command(tmp_path, "produce", "--queue", "q", "--url", queen.url, "--file", "f", "--resume", "no/state")
    assert done.code == 1
    assert "cannot write no/state: no such file or directory" in done.err
    assert queen.seen == []
