"""The commands in scripts/: quick checks on a pretended clone, and, marked slow, real environments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.lib import spec_rows

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("queen", "test", "check", "bench", "spec-rows")

SHOWS_VENV = (
    '#!/usr/bin/env bash\nset -euo pipefail\n. "$(dirname "$0")/lib/setup.sh"\nneed_environment "$@"\necho "$venv"\n'
)


def run(
    command: list[str | Path], *, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **(environ or {})}
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, timeout=600, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that looks like a clone to the scripts, with an environment that pretends to be complete."""
    root = tmp_path / "a clone"
    (root / "tests").mkdir(parents=True)
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tests/requirements-data.txt"):
        shutil.copy(ROOT / name, root / name)
    (root / "scripts" / "where").write_text(SHOWS_VENV, encoding="utf-8")
    pretend(root, "dev,embedded")
    return root


def pretend(root: Path, extras: str) -> None:
    binaries = root / ".venv" / "bin"
    binaries.mkdir(parents=True, exist_ok=True)
    (binaries / "python").unlink(missing_ok=True)
    (binaries / "python").symlink_to(sys.executable)
    (binaries / "queen").write_text('#!/bin/sh\nprintf "queen:%s\\n" "$@"\n', encoding="utf-8")
    (binaries / "queen").chmod(0o755)
    inputs = [root / "pyproject.toml", root / "tests" / "requirements-data.txt"]
    body = "".join(path.read_text(encoding="utf-8") for path in inputs)
    (root / ".venv" / "queen-setup").write_text(f"queen-setup-1\n{root}\n{extras}\n{body}", encoding="utf-8")


def refuse_installation(root: Path) -> None:
    """From now on an installation is not done but told."""
    (root / "scripts" / "lib" / "install.py").write_text(
        "import sys\nsys.exit('would install ' + sys.argv[2])\n", encoding="utf-8"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_run_and_parses(name: str) -> None:
    script = ROOT / "scripts" / name
    assert os.access(script, os.X_OK)
    assert run(["bash", "-n", script]).returncode == 0


def test_ci_runs_the_checks_and_the_tests() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert run(["bash", "-n", ROOT / ".ci" / "run"]).returncode == 0
    assert text.index("scripts/check") < text.index("scripts/test")


def test_a_complete_environment_is_used_as_it_is(clone: Path, tmp_path: Path) -> None:
    refuse_installation(clone)
    done = run([clone / "scripts" / "queen", "serve", "a b"], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "queen:serve\nqueen:a b\n")
    assert done.stderr == ""


def test_the_command_works_through_a_link(clone: Path, tmp_path: Path) -> None:
    refuse_installation(clone)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "queen").symlink_to("../a clone/scripts/queen")
    assert run([tmp_path / "bin" / "queen", "version"]).stdout == "queen:version\n"


@pytest.mark.parametrize(
    "change", ["pyproject.toml", "tests/requirements-data.txt", "extra", "folder", "unfinished", "python"]
)
def test_an_environment_that_no_longer_fits_is_brought_up_to_date(clone: Path, change: str) -> None:
    refuse_installation(clone)
    stamp = clone / ".venv" / "queen-setup"
    assert run(["bash", clone / "scripts" / "where", "dev"]).returncode == 0
    if change == "extra":
        pretend(clone, "embedded")
    elif change == "folder":
        stamp.write_text(stamp.read_text(encoding="utf-8").replace(str(clone), "/elsewhere", 1), encoding="utf-8")
    elif change == "unfinished":
        stamp.write_text("unfinished\n", encoding="utf-8")
    elif change == "python":
        (clone / ".venv" / "bin" / "python").unlink()
        (clone / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.11")
    else:
        (clone / change).write_text("# changed\n", encoding="utf-8")
    done = run(["bash", clone / "scripts" / "where", "dev"])
    assert done.returncode != 0
    assert "would install dev" in done.stderr


def test_without_python_the_message_says_what_to_do(clone: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname"):
        (tools / name).symlink_to(shutil.which(name) or "")
    (clone / ".venv" / "queen-setup").unlink()
    done = run(["bash", clone / "scripts" / "queen", "version"], environ={"PATH": str(tools)})
    assert done.returncode == 3
    assert done.stderr.startswith("queen: needs Python 3.11 or later")
    assert "hint: " in done.stderr


def test_a_folder_that_is_not_ours_is_left_alone(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    (clone / ".venv").mkdir()
    (clone / ".venv" / "precious").write_text("x", encoding="utf-8")
    done = run([clone / "scripts" / "queen", "version"])
    assert done.returncode == 3
    assert "is in the way" in done.stderr
    assert (clone / ".venv" / "precious").read_text(encoding="utf-8") == "x"


def test_a_failed_installation_is_told_in_a_few_lines_and_leaves_a_mark(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    no_network = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_FIND_LINKS": "", "PIP_RETRIES": "0"}
    done = run([clone / "scripts" / "queen", "version"], environ=no_network)
    assert done.returncode == 3
    assert "installing the Python packages failed" in done.stderr
    assert "hint: check the network" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 15
    # Marked as ours and not complete: the next start makes it anew.
    assert (clone / ".venv" / "queen-setup").read_text(encoding="utf-8") == "unfinished\n"


def test_bench_lists_what_there_is_and_names_what_there_is_not() -> None:
    listed = run([ROOT / "scripts" / "bench"])
    assert listed.returncode == 0
    assert "usage: scripts/bench NAME" in listed.stdout
    missing = run([ROOT / "scripts" / "bench", "nothing"])
    assert missing.returncode == 3
    assert "there is no benchmarks/nothing.py" in missing.stderr


PAGE = "| row | state | must |\n|---|---|---|\n| R1 | built | one |\n| R2 | open | two |\n"
TESTS = (
    "import pytest\n"
    "pytestmark = [pytest.mark.spec('R1')]\n"
    "@pytest.mark.spec('R2', 'R3')\n"
    "async def test_a(): ...\n"
    "class TestB:\n"
    "    def test_c(self): ...\n"
    "def helper(): ...\n"
)


def project(folder: Path, page: str, tests: str) -> Path:
    (folder / "docs").mkdir()
    (folder / "tests").mkdir()
    (folder / "docs" / "spec-rows.md").write_text(page, encoding="utf-8")
    (folder / "tests" / "test_x.py").write_text(tests, encoding="utf-8")
    return folder


def test_spec_rows_finds_marks_on_tests_classes_and_files(tmp_path: Path) -> None:
    root = project(tmp_path, PAGE, TESTS)
    assert spec_rows.read_tests(root / "tests") == {
        "R1": ["tests/test_x.py::test_a", "tests/test_x.py::TestB::test_c"],
        "R2": ["tests/test_x.py::test_a"],
        "R3": ["tests/test_x.py::test_a"],
    }


@pytest.mark.parametrize(
    ("page", "tests", "arguments", "code", "message"),
    [
        (PAGE, TESTS.replace(", 'R3'", ""), [], 0, ""),
        (PAGE, TESTS.replace(", 'R3'", ""), ["--strict"], 1, "R2: still open"),
        (PAGE, TESTS, [], 1, "R3: named by tests/test_x.py::test_a, and there is no such row"),
        (PAGE, "", [], 1, "R1: is built, and no test names it"),
        (PAGE.replace("open", "soon"), TESTS, [], 1, "R2: unknown state soon"),
    ],
)
def test_spec_rows_fails_when_the_page_is_not_true(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    page: str,
    tests: str,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    assert spec_rows.main(arguments, project(tmp_path, page, tests)) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert [line.split()[0] for line in printed.out.splitlines()] == ["R1", "R2"]


def test_all_rows_of_the_specification_are_listed_once() -> None:
    rows = spec_rows.read_rows((ROOT / "docs" / "spec-rows.md").read_text(encoding="utf-8"))
    assert [row.number for row in rows] == [f"R{number}" for number in range(1, 39)]


@pytest.mark.slow
def test_two_first_starts_at_once_make_one_environment(tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    skipped = shutil.ignore_patterns(".venv*", ".git", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, root, ignore=skipped)
    command = [str(root / "scripts" / "queen"), "version"]
    starts = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    results = [(*start.communicate(timeout=600), start.returncode) for start in starts]
    for out, err, code in results:
        assert code == 0, err
        assert out.startswith("queen ")
        assert len(err.splitlines()) <= 1
    assert sum(err.startswith("queen: preparing") for _, err, _ in results) == 1
    again = run([root / "scripts" / "queen", "version"])
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.slow
def test_a_first_start_that_was_killed_is_repaired_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    skipped = shutil.ignore_patterns(".venv*", ".git", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, root, ignore=skipped)
    start = subprocess.Popen(
        [str(root / "scripts" / "queen"), "version"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert start.stderr
    assert "preparing" in start.stderr.readline()
    os.killpg(start.pid, 9)
    start.wait(timeout=60)
    done = run([root / "scripts" / "queen", "version"])
    assert (done.returncode, done.stdout[:6]) == (0, "queen ")
