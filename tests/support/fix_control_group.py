"""Limits of memory and processor time for processes of a test's own: control groups of version 1, as root.

Each group lies at the top of its hierarchy and is gone after the test; its processes go back to where they came from.
Where the tests themselves run under a limit nothing is moved out of it: such a test is skipped.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.server import wait_until

_TOP = Path("/sys/fs/cgroup")
_LIMITS: dict[str, tuple[str, Callable[[int], bool]]] = {
    "memory": ("memory.limit_in_bytes", lambda most: most < 1 << 60),
    "cpu": ("cpu.cfs_quota_us", lambda most: most > 0),
}
"""By controller: the file of its limit, and whether its number is one."""

_SHARES = 50_000
"""Fifty times the weight of any other process."""

MakeGroup = Callable[..., "ControlGroup"]


class ControlGroup:
    """One group. Processes that are added keep their children of later in it."""

    def __init__(self, controller: str, home: Path) -> None:
        self._home = home
        self._folder = _TOP / controller / f"queen-test-{secrets.token_hex(4)}"
        self._folder.mkdir()

    def write(self, name: str, value: int) -> None:
        """Set one of its files, such as `memory.limit_in_bytes`."""
        (self._folder / name).write_text(str(value), "ascii")

    def read(self, name: str) -> int:
        """The number in one of its files."""
        return int((self._folder / name).read_text("ascii"))

    def add(self, pid: int) -> None:
        """Move a process into it."""
        self.write("cgroup.procs", pid)

    def close(self) -> None:
        """Give its processes back, and remove it."""
        wait_until(self._is_gone, "the control group to be empty")

    def _is_gone(self) -> bool:
        for pid in (self._folder / "cgroup.procs").read_text("ascii").split():
            with suppress(OSError):  # it has ended meanwhile
                (self._home / "cgroup.procs").write_text(pid, "ascii")
        try:
            self._folder.rmdir()
        except OSError:
            return False
        return True


@pytest.fixture
def control_group() -> Iterator[MakeGroup]:
    """Makes a group: takes the controller, `memory` or `cpu`, and its limit, of bytes or of microseconds in each tenth
    of a second."""
    made: list[ControlGroup] = []

    def make(controller: str, most: int) -> ControlGroup:
        name, limits = _LIMITS[controller]
        home = _home(controller)
        if home is None:
            pytest.skip(f"there is no control group of version 1 for {controller} here")
        if any(limits(_number(folder / name)) for folder in (home, *home.parents) if (folder / name).exists()):
            pytest.skip("these tests run under a limit of their own, which nothing may be moved out of")
        try:
            made.append(ControlGroup(controller, home))
            made[-1].write(name, most)
            if controller == "cpu":
                made[-1].write("cpu.shares", _SHARES)  # a busy machine must not keep it below its quota
        except OSError as error:
            pytest.skip(f"control groups cannot be made here: {error}")
        return made[-1]

    yield make
    for group in made:
        group.close()


def _home(controller: str) -> Path | None:
    """The group that this process is in."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text("ascii").splitlines():
            _, names, path = line.split(":", 2)
            if controller in names.split(",") and (_TOP / controller).is_dir():
                return _TOP / controller / path.lstrip("/")
    return None


def _number(path: Path) -> int:
    return int(path.read_text("ascii"))
