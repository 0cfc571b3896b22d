"""The journal on disk: whole or not there, private, bounded, and refused when it is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from queen.errors import TuneRefused
from queen.tune.flow import journal as module
from queen.tune.flow.journal import Change, FileChange, Journal, Shelf, State
from queen.tune.flow.wanted import Wanted

WISH = Wanted("server", "", "work_mem", "8MB", "reload", "one batch")


def _journal(shelf: Shelf, state: State = "acting") -> Journal:
    return Journal(
        folder=shelf.new_folder(),
        state=state,
        server="7",
        schema="queen",
        role="queen",
        way="file",
        began_at="2026-11-30T03:00:00+00:00",
        wanted=(WISH,),
        changes=(Change(WISH, "4MB", "4MB", "configuration file", "/a/postgresql.conf"),),
        files=(FileChange("/a/conf.d/queen.conf", False, 0o640, 1, 2, "/a/conf.d"),),
        auto_conf=(("jit", "off"),),
        confirm_by=12.5,
        notes=("a note",),
    )


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    made = _journal(shelf)
    made.keep(0, "before", b"\x00bytes")
    made.write()
    [read] = shelf.all()
    assert read == made
    assert read.kept(0, "before") == b"\x00bytes"
    assert shelf.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o600}


def test_a_folder_without_its_first_write_is_no_journal(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    assert shelf.all() == []
    shelf.new_folder()
    assert shelf.all() == []


def test_states_decide_what_a_shelf_tells(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    one = replace(_journal(shelf), folder=shelf.folder / "1")
    two = replace(one, folder=shelf.folder / "2")
    for made in (one, two):
        made.folder.mkdir()
    one, two = one.to("applied"), two.to("acting")
    assert (shelf.latest(), shelf.interrupted(), shelf.waiting()) == (one, [two], None)
    two = two.to("waiting")
    assert (shelf.latest(), shelf.interrupted(), shelf.waiting()) == (two, [], two)
    two = two.to("undone")
    assert (shelf.latest(), shelf.interrupted(), shelf.waiting()) == (one, [], None)
    assert shelf.all() == [one, two]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "state": "applied"}'])
def test_a_damaged_one_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    shelf = Shelf(tmp_path / "shelf")
    made = _journal(shelf)
    (made.folder / "journal.json").write_text(text, "utf-8")
    with pytest.raises(TuneRefused, match=r"journal\.json cannot be read"):
        shelf.all()


def test_the_oldest_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_MAX", 3)
    shelf = Shelf(tmp_path / "shelf")
    made = [shelf.new_folder() for _ in range(8)]
    assert sorted(made) == made, "in their order, also within a second"
    assert sorted(shelf.folder.iterdir()) == made[4:]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(TuneRefused, match="cannot be used"):
        Shelf(tmp_path / "file" / "shelf").new_folder()
