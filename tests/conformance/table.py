"""Writes docs/clients.md from the outcome of the suite: `python -m tests.conformance.table`.

Runs the suite, and writes nothing when a test fails. The page that a green suite leads to is known beforehand, so a
test compares it with the one that is committed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conformance.missing import MISSING
from tests.conformance.suite import AREAS, BETWEEN, HERE, VERSIONS, Cell, contents

PAGE = HERE.parents[1] / "docs" / "clients.md"

Words = Mapping[tuple[str, str], str]
"""What stands in a cell, by feature and version."""

_ABSENT = "–"
_HEAD = """# Public clients

What the public Python client (`queen-mq` on PyPI, unchanged) does against this server. The tables are written by
`python -m tests.conformance.table` from the outcome of the tests in `tests/conformance`, which run the real client in
an environment of its own against a real server.

- **{newest}** is the newest version, **{oldest}** the oldest that speaks this API.
- Of the versions beside these, {between} were tried for the basic life of a message: create, push, pop, ack, consume,
  groups, transaction, dead letters, lease renewal, buffers. All works, with one difference: 0.7.4 reads the answer of a
  single ack as an object, and so `ack()` returns a failure though the ack is done. Its consumers do not look at it.
- "yes": tried, and works. "{absent}": this version of the client does not offer it. "not yet: …": the server lacks it.
- Versions since 1.3 let the server choose the size of a pop (*autopilot*), and hand a list to every handler until
  `batch(1)` or `each()` is called, whichever server they talk to. The handlers in the README of 2.6.0 that take one
  message raise therefore, its Quick Start too. The README of 1.0.0 fits its client, and all of it that stands alone
  works unchanged.
- Consumers of all versions go on after a 503 that lasts only when its text has the word "connection" or "timeout". The
  server's have.
- With several servers and the strategy *affinity*, a request that is under way when its server is killed is not sent
  to another one: the client takes the broken connection for no network error, and raises. With *round-robin* it is,
  unless several workers take turns and one is given the killed server twice. A server that is stopped in order costs
  nothing with either.
- JavaScript and Go: npm has no package `queen-mq`, and the Go module proxy gives no version of the repositories that
  the Python package names, so neither client could be tried.
"""


def render(words: Words) -> str:
    """The page."""
    names = {"newest": VERSIONS[0], "oldest": VERSIONS[-1], "between": ", ".join(BETWEEN)}
    parts = [_HEAD.format(**names, absent=_ABSENT)]
    for area, title in AREAS.items():
        rows = [feature for feature in contents() if feature.area == area]
        parts.append(f"\n## {title}\n\n| feature | {' | '.join(VERSIONS)} |\n|---|{'---|' * len(VERSIONS)}\n")
        parts += [
            f"| {feature.name} | {' | '.join(words[feature.key, version] for version in VERSIONS)} |\n"
            for feature in rows
        ]
    return "".join(parts)


def when_green() -> Words:
    """What stands in each cell when every test of the suite ends as it should."""
    return {
        (feature.key, version): _word(feature.key) if feature.offered_by(version) else _ABSENT
        for feature in contents()
        for version in VERSIONS
    }


def _word(key: str) -> str:
    return f"not yet: {MISSING[key]}" if key in MISSING else "yes"


class _Collector:
    """A plugin that notes how the test of each cell ended."""

    def __init__(self) -> None:
        self.words: dict[tuple[str, str], str] = {}
        self._cells: dict[str, Cell] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            cell = getattr(item, "callspec", None) and item.callspec.params.get("cell")  # type: ignore[attr-defined]
            if isinstance(cell, Cell):
                self._cells[item.nodeid] = cell

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        cell = self._cells.get(report.nodeid)
        if cell is None or report.when != "call":
            return
        if report.passed:
            self.words[cell.feature.key, cell.version] = "yes"
        elif report.skipped and hasattr(report, "wasxfail"):
            self.words[cell.feature.key, cell.version] = f"not yet: {report.wasxfail.removeprefix('reason: ')}"


def main(page: Path = PAGE) -> int:
    """Run the suite and write the page. The exit code."""
    collector = _Collector()
    # The page itself may be stale now, so its own test is left out.
    code = pytest.main(["-q", str(HERE), "--ignore", str(HERE / "test_table.py")], plugins=[collector])
    if code != pytest.ExitCode.OK:
        print("the suite failed; the table is as it was", file=sys.stderr)
        return int(code)
    absent = {key: _ABSENT for key, word in when_green().items() if word == _ABSENT}
    page.write_text(render({**absent, **collector.words}), encoding="utf-8")
    print(f"wrote {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
