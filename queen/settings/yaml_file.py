"""Read one YAML file of settings, or of a workload, into flat entries with line numbers.

Works on the parsed node tree instead of Python values: it keeps the line of each key, sees keys given twice (YAML
would silently keep the last), and hands scalars on as they are written, so that `password: 0123` stays four digits.
Knows no setting by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

FILE_BYTES_MAX: Final = 1 << 20
"""A settings file is small; anything larger was named by mistake."""

_NULL: Final = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Entry:
    """`section.name: value` at a line. The value is text or a list of text."""

    key: str
    value: str | list[str]
    line: int


class _Problem(Exception):
    """Why the file cannot be used, as one line."""


def read_yaml(path: Path, shown: str) -> tuple[list[Entry], list[str]]:
    """The entries of a file and its problems, one line each. Entries without a value (`url:`) are left out."""
    problems: list[str] = []
    root = _root(path, shown, "sections with settings below them, such as server: and port:", problems)
    return list(_entries(root, shown, problems)) if root is not None else [], problems


def read_flat_yaml(path: Path, shown: str) -> tuple[list[Entry], list[str]]:
    """The same for a file without sections: `name: value`, each key the name alone."""
    problems: list[str] = []
    root = _root(path, shown, "lines such as rate: 10k", problems)
    pairs = _pairs(root, "", shown, problems) if root is not None else []
    return [entry for name, line, value in pairs for entry in _entry(name, line, value, shown, problems)], problems


def _root(path: Path, shown: str, wanted: str, problems: list[str]) -> yaml.MappingNode | None:
    """The mapping that the file is; None when it is empty, or, with a problem, unusable."""
    try:
        root = _parse(_read(path, shown), shown)
    except _Problem as problem:
        problems.append(str(problem))
        return None
    if root is None or isinstance(root, yaml.MappingNode):
        return root
    problems.append(f"{shown}:{root.start_mark.line + 1}: must be {wanted}")
    return None


def _read(path: Path, shown: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise _Problem(f"{shown}: there is no such file") from None
    except OSError as error:
        raise _Problem(f"{shown}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) > FILE_BYTES_MAX:
        raise _Problem(f"{shown}: is larger than 1 MiB, so it is no settings file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _Problem(f"{shown}:{line}: is not UTF-8 text") from None


def _parse(text: str, shown: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{shown}:{mark.line + 1}" if mark else shown
        raise _Problem(f"{place}: is not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise _Problem(f"{shown}: is not valid YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise _Problem(f"{shown}: is nested too deeply") from None
    return None if node is not None and node.tag == _NULL else node


def _entries(root: yaml.MappingNode, shown: str, problems: list[str]) -> Iterator[Entry]:
    for section, section_line, body in _pairs(root, "", shown, problems):
        if body.tag == _NULL:
            continue
        if not isinstance(body, yaml.MappingNode):
            problems.append(f"{section} ({shown}:{section_line}): must be a section with settings below it")
            continue
        for name, line, value in _pairs(body, f"{section}.", shown, problems):
            yield from _entry(f"{section}.{name}", line, value, shown, problems)


def _entry(key: str, line: int, value: yaml.Node, shown: str, problems: list[str]) -> Iterator[Entry]:
    if value.tag == _NULL:
        return
    if isinstance(value, yaml.ScalarNode):
        yield Entry(key, value.value, line)
    elif isinstance(value, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in value.value):
        yield Entry(key, [item.value for item in value.value], line)
    else:
        problems.append(f"{key} ({shown}:{line}): must be one value or a plain list of values")


def _pairs(
    node: yaml.MappingNode, prefix: str, shown: str, problems: list[str]
) -> Iterator[tuple[str, int, yaml.Node]]:
    """Key, line and value of a mapping; keys that are no text and keys given twice become problems."""
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            problems.append(f"{shown}:{line}: a name must be plain text")
        elif key.value in lines:
            problems.append(f"{prefix}{key.value} ({shown}:{line}): is given twice, first in line {lines[key.value]}")
        else:
            lines[key.value] = line
            yield key.value, line, value
