"""The small parts of the private PostgreSQL: accounts, folders, sockets, the lock and the note. No server runs here."""

from __future__ import annotations

import errno
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from queen.embedded import conf, processes, recover, sockets
from queen.embedded.account import Account, choose_account, first_unreachable
from queen.embedded.folders import Home, base_folder, told_plainly, write_file
from queen.embedded.state import Note, OwnerLock, read_note, remove_note, write_note
from queen.errors import EmbeddedError

ME = Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid(), switch=False)
STRANGER = Account("stranger", 12345, 12345, switch=True)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, 15)


def note(**changed: object) -> Note:
    values = {"owner_pid": os.getpid(), "owner_identity": processes.identity(os.getpid()), "holder": "test"}
    values |= {"socket_dir": "/x", "version": "15.1", "bin_dir": "/y", **changed}
    return Note(**values)  # type: ignore[arg-type]


def test_the_first_closed_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    tmp_path.chmod(0o755)
    (tmp_path / "a").chmod(0o700)
    closed = first_unreachable(tmp_path / "a" / "b" / "absent", STRANGER)
    assert closed is not None
    assert (tmp_path / "a").is_relative_to(closed)
    assert first_unreachable(tmp_path / "a" / "b" / "absent", ME) is None


@needs_root
@pytest.mark.parametrize(
    ("wanted", "owner", "words"),
    [("root", None, "refuses to run as root"), ("no-such-user", None, "no user"), (None, 0, "as root"),
     ("nobody", 1, "belongs to user")],
)  # fmt: skip
def test_accounts_that_cannot_work(wanted: str | None, owner: int | None, words: str) -> None:
    with pytest.raises(EmbeddedError, match=words) as caught:
        choose_account(wanted, owner)
    assert caught.value.hint


@needs_root
def test_root_follows_the_owner_of_the_data() -> None:
    uid = pwd.getpwnam("nobody").pw_uid
    account = choose_account(None, uid)
    assert (account.name, account.uid, account.switch) == ("nobody", uid, True)


def test_a_user_cannot_become_another(monkeypatch: pytest.MonkeyPatch) -> None:
    uid = pwd.getpwnam("nobody").pw_uid
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert choose_account(None, None).switch is False
    with pytest.raises(EmbeddedError, match="only root"):
        choose_account("somebody-else", None)
    with pytest.raises(EmbeddedError, match="belongs to user"):
        choose_account(None, uid + 1)


def test_the_base_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert base_folder(str(tmp_path / "given")) == (tmp_path / "given").resolve()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert base_folder(None) == Path("/var/lib/queen")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert base_folder(None) == (tmp_path / "queen").resolve()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "no permission"), (errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")],
)
def test_troubles_with_files_are_told_plainly(number: int, words: str) -> None:
    with pytest.raises(EmbeddedError, match=words) as caught, told_plainly(Path("/x")):
        raise OSError(number, os.strerror(number), "/x/file")
    assert "/x/file" in caught.value.message


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    write_file(tmp_path / "file", "new", ME)
    assert (tmp_path / "victim").read_text() == "untouched"
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_the_socket_folder_is_private_short_and_the_same_again(
    home: Home, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setattr(sockets, "_roots", lambda _: iter([place / ("deep" * 30), place]))
    (place / ("deep" * 30)).mkdir()
    folder = sockets.make_socket_folder(home, ME, None)
    assert folder.parent == place
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / ".s.PGSQL.5432.lock").write_text("stale")
    assert sockets.make_socket_folder(home, ME, None) == folder
    assert list(folder.iterdir()) == []
    sockets.remove_socket_folder(folder, ME)
    assert not folder.exists()


def test_a_stranger_in_the_place_of_the_socket_folder_is_avoided(
    home: Home, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setattr(sockets, "_roots", lambda _: iter([place]))
    expected = sockets.make_socket_folder(home, ME, None)
    expected.chmod(0o777)
    other = sockets.make_socket_folder(home, ME, None)
    assert other != expected
    assert other.name.startswith(f"{expected.name}-")
    expected.rmdir()
    expected.symlink_to(other)
    assert sockets.make_socket_folder(home, ME, None) not in (expected, other)


def test_only_folders_of_ours_are_removed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir(mode=0o700)
    sockets.remove_socket_folder(precious, ME)
    assert precious.is_dir()
    opened = tmp_path / "queen-pg-0123456789ab"
    opened.mkdir()
    opened.chmod(0o755)
    sockets.remove_socket_folder(opened, ME)
    assert opened.is_dir(), "it is open to others, so it was not made by us"


def test_no_place_for_a_socket_is_told(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sockets, "_roots", lambda _: iter([tmp_path / "absent"]))
    with pytest.raises(EmbeddedError, match="no folder for PostgreSQL's socket"):
        sockets.make_socket_folder(home, ME, None)


def test_the_lock_has_one_holder(home: Home) -> None:
    first, second = OwnerLock(home, ME), OwnerLock(home, ME)
    assert first.acquire()
    assert not second.acquire()
    assert (first.held, second.held) == (True, False)
    first.release()
    assert second.acquire()
    second.release()
    second.release()


def test_the_note_comes_back_as_written(home: Home) -> None:
    written = note(ready=True, postmaster_pid=7, started_at="2024-01-01T00:00:00+00:00")
    write_note(home, written, ME)
    assert read_note(home) == written
    assert json.loads(home.state.read_text())["schema_version"] == 1
    remove_note(home)
    remove_note(home)
    assert read_note(home) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"owner_pid": "7"}', "\x00", '{"socket_dir": 3}', "[" * 5000])
def test_a_broken_note_is_no_note(home: Home, text: str) -> None:
    home.state.write_text(text)
    assert read_note(home) is None


def test_an_owner_is_recognised_by_more_than_its_number(home: Home) -> None:
    assert note().owner_alive()
    assert not note(owner_identity="boot:1").owner_alive()
    assert not note(owner_identity="").owner_alive()


def test_a_process_that_ended_is_not_running() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.is_running(child.pid), "it has ended, though nobody has reaped it yet"
    assert processes.identity(child.pid) == ""
    child.wait()
    assert processes.is_running(os.getpid())


def test_a_stale_process_id_is_disarmed_and_the_rest_kept(home: Home) -> None:
    home.data.mkdir()
    pid_file = home.data / "postmaster.pid"
    recover.disarm_pid_file(home, ME)
    assert not pid_file.exists()
    pid_file.write_text("4711\n/data\n1700000000\n5432\n/sock\n\n  123 456\nready\n")
    recover.disarm_pid_file(home, ME)
    assert pid_file.read_text() == f"{os.getpid()}\n/data\n1700000000\n5432\n/sock\n\n  123 456\nready\n"


def test_a_living_process_elsewhere_is_no_server_of_this_data(home: Home) -> None:
    home.data.mkdir()
    (home.data / "postmaster.pid").write_text(f"{os.getpid()}\n")
    assert recover.running_server(home) is None
    recover.wait_until_free(home, deadline=0)


def test_nobody_is_trusted() -> None:
    rules = [line.split() for line in conf.access_rules().splitlines() if line and not line.startswith("#")]
    assert {(rule[0], rule[3]) for rule in rules} == {("local", "peer")}
    assert conf.ident_map(["a b", 'q"q', "a b"]).splitlines()[1:] == ['queen  "a b"  queen', 'queen  "q""q"  queen']
