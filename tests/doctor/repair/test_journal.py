"""The undo file: written before anything runs, readable after any crash. Files only."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from queen.doctor.repair.journal import Journal, read
from queen.errors import DoctorFileError


def written(folder: Path) -> Path:
    """Three statements: one ran, one failed, one was cut short."""
    with Journal.create(folder / "undo", {"database": "queen"}) as journal:
        journal.before(1, "V3", "queen.cursors", "ALTER 1", ["UNDO 1"], None)
        journal.after(1)
        journal.before(2, "V3", None, "ALTER 2", ["UNDO 2"], ())
        journal.after(2, "no")
        journal.before(3, "V12", None, "ALTER 3", ["UNDO 3a", "UNDO 3b"], None)
    return journal.path


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_ran_and_what_may_have_run_is_taken_back_the_last_first(tmp_path: Path) -> None:
    book = read(written(tmp_path))
    assert book.about["database"] == "queen"
    assert [(entry.number, entry.ended) for entry in book.entries] == [(1, True), (2, False), (3, None)]
    assert [(entry.number, entry.undo) for entry in book.open_entries()] == [
        (3, ("UNDO 3a", "UNDO 3b")),
        (1, ("UNDO 1",)),
    ]


def test_what_was_taken_back_is_not_taken_back_again(tmp_path: Path) -> None:
    path = written(tmp_path)
    with Journal.resume(path) as journal:
        journal.undone(3)
    assert [entry.number for entry in read(path).open_entries()] == [1]


def test_an_undo_that_died_is_begun_anew_and_one_that_failed_is_not(tmp_path: Path) -> None:
    path = written(tmp_path)
    with Journal.resume(path) as journal:
        journal.undoing(3)
        journal.kept(3, "a lock")
        journal.undoing(1)
    assert [(entry.number, entry.begun, entry.certain) for entry in read(path).open_entries()] == [
        (3, False, False),
        (1, True, False),
    ]
    with Journal.resume(path) as journal:
        journal.undone(1)
    assert [entry.number for entry in read(path).open_entries()] == [3]


def test_a_line_cut_short_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = written(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"what": "before", "n": 4, "statem')
    assert len(read(path).entries) == 3
    with Journal.resume(path) as journal:
        journal.undone(3)
    assert [json.loads(line)["what"] for line in path.read_bytes().splitlines()][-1] == "undone"
    assert [entry.number for entry in read(path).open_entries()] == [1]


@pytest.mark.parametrize("text", ["", "x\n", "{}\n", "[]\n", '{"kind": "queen-doctor-undo", "version": 99}\n'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DoctorFileError):
        read(path)


def test_a_file_that_others_may_write_is_not_run(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.chmod(0o622)
    with pytest.raises(DoctorFileError, match="others may write it"):
        read(path)


def test_a_missing_file_and_a_folder_that_cannot_be_made_are_told(tmp_path: Path) -> None:
    with pytest.raises(DoctorFileError, match="cannot be read"):
        read(tmp_path / "none")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DoctorFileError, match="cannot be written"):
        Journal.create(tmp_path / "file" / "undo", {})


def test_a_full_disk_is_told_before_anything_runs(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    journal = Journal(Path("/dev/full"), os.open("/dev/full", os.O_WRONLY))
    with journal, pytest.raises(DoctorFileError, match="No space left"):
        journal.before(1, "V1", None, "VACUUM", [], None)
