"""The console blocks of a Markdown page as a script: what is typed, what is printed, and how the two are compared.

In expected output `…` stands for any text within a line, and a line that is `…` alone for any number of lines. Knows
neither the server nor which page it reads.
"""

from __future__ import annotations

import difflib
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ANY = "…"
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "--- end of the command, exit code"


@dataclass
class Step:
    """Something typed, which may have several lines, and the lines that it prints."""

    typed: str
    printed: list[str] = field(default_factory=list)

    @property
    def expected(self) -> str:
        """What it prints, as `problem` takes it."""
        return "\n".join(self.printed)


@dataclass
class Block:
    """One fenced block: the words after the fence, and its steps in order."""

    words: list[str]
    steps: list[Step]


def blocks(page: str) -> Iterator[Block]:
    """The console blocks of a page."""
    for info, text in _BLOCK.findall(page):
        words = info.split()
        if words[:1] == ["console"]:
            yield Block(words[1:], _steps(text))


def _steps(text: str) -> list[Step]:
    steps: list[Step] = []
    for line in text.splitlines():
        if line.startswith("$ ") or line == "^C":
            steps.append(Step(line.removeprefix("$ ")))
        elif not steps:
            raise ValueError(f"a console block begins with `$ command` or ^C, not with: {line}")
        elif (line.startswith("> ") or line == ">") and not steps[-1].printed:
            steps[-1].typed += "\n" + line[2:]
        else:
            steps[-1].printed.append(line)
    return steps


def problem(expected: str, actual: str) -> str | None:
    """None when the output is the expected one, else a diff of the two. White space at line ends does not count."""
    wanted, got = _tidy(expected), _tidy(actual)
    if _pattern(wanted).fullmatch("".join(line + "\n" for line in got)):
        return None
    return "\n".join(difflib.unified_diff(wanted, got, "printed in the page", "printed by the command", lineterm=""))


def _tidy(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _pattern(lines: list[str]) -> re.Pattern[str]:
    parts = [
        r"(?:[^\n]*\n)*?" if line == ANY else r"[^\n]*?".join(re.escape(text) for text in line.split(ANY)) + r"\n"
        for line in lines
    ]
    return re.compile("".join(parts))


class Shell:
    """One bash in which commands run one after the other, as in a terminal: variables and functions stay."""

    def __init__(self, folder: Path, environment: Mapping[str, str], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._bash = subprocess.Popen(
            ["timeout", str(timeout_s), "bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            text=True,
            encoding="utf-8",
        )

    def run(self, command: str) -> tuple[int, str]:
        """(exit code, output and errors as they came). A shell that ended counts as exit code -1."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f'{{ {command}\n}} </dev/null 2>&1\necho "{_END} $?"\n')
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            before, end, code = line.partition(_END)
            if end:
                return int(code), output + before
            output += line
        return -1, output

    def close(self) -> None:
        """End the shell."""
        self._bash.communicate("exit\n")
