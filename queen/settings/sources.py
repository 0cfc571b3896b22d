"""Where values come from: YAML files, the environment, flags. Each source yields only what was actually set.

A source finds names and reports unknown ones with the nearest known name; it judges no value (`resolve.py` does, for
the value that won). This package is the only reader of YAML and of the environment in Queen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from queen.settings.fields import Field
from queen.settings.schema import RESERVED_VARIABLES, fields

# A Kubernetes service called "queen" puts these into every pod beside it; they are not settings of ours.
_KUBERNETES: Final = re.compile(r"QUEEN_SERVICE_(HOST|PORT)(_\w+)?|QUEEN_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was set, and where: "environment PORT", "queen.yaml:12", "flag --port"."""

    raw: object
    origin: str


@dataclass(slots=True)
class Layer:
    """What one source sets, by key, and what is wrong with it."""

    values: dict[str, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def from_yaml(path: Path, shown: str) -> Layer:
    """The settings of one file. `shown` is the name of the file in origins and messages."""
    from queen.settings.yaml_file import read_yaml  # a command that finds no file need not load YAML

    layer = Layer()
    entries, problems = read_yaml(path, shown)
    layer.problems += problems
    known = fields()
    for entry in entries:
        origin = f"{shown}:{entry.line}"
        if entry.key in known:
            layer.values[entry.key] = Given(entry.value, origin)
        else:
            layer.problems.append(f"{entry.key} ({origin}): unknown setting{nearest(entry.key, known)}")
    return layer


def from_environment(environ: Mapping[str, str]) -> Layer:
    """The settings among environment variables. An empty variable counts as not set; QUEEN_… wins over an alias."""
    layer = Layer()
    for key, one in fields().items():
        name = next((name for name in (one.variable, *one.traits.aliases) if environ.get(name, "") != ""), None)
        if name is not None:
            layer.values[key] = Given(environ[name], f"environment {name}")
    layer.problems += _unknown_variables(environ)
    return layer


def from_flags(flags: Mapping[str, object]) -> Layer:
    """The settings among command line options, by key; None and an empty list mean "not given"."""
    layer = Layer()
    known = fields()
    for key, value in flags.items():
        if key not in known:
            layer.problems.append(f"{key} (flag): unknown setting{nearest(key, known)}")
        elif value is not None and value != [] and value != ():
            layer.values[key] = Given(value, f"flag {_flag(known[key], value)}")
    return layer


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that offers the most similar known name, or ""."""
    import difflib  # for mistakes only

    names = {other.lower(): other for other in known}
    found = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if not found:
        last = {other.rpartition(".")[2]: other for other in names}
        found = [last[part] for part in difflib.get_close_matches(name.lower().rpartition(".")[2], last, n=1)]
    return f"; did you mean {names[found[0]]}?" if found else ""


def yaml_files(config_path: Path | None, environ: Mapping[str, str], cwd: Path) -> list[tuple[Path, str]]:
    """The files to read, the weakest first, each with its name for origins.

    A file that was asked for, by `--config` or QUEEN_CONFIG, is read alone, and has to exist.
    """
    asked = config_path or (Path(environ["QUEEN_CONFIG"]) if environ.get("QUEEN_CONFIG") else None)
    if asked is not None:
        return [(cwd / asked, str(asked))]
    personal = _config_home(environ) / "queen" / "queen.yaml"
    candidates = [(personal, str(personal)), (cwd / "config" / "queen.yaml", "config/queen.yaml")]
    return [(path, shown) for path, shown in candidates if _is_there(path)]


def process_environment() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ


def _is_there(path: Path) -> bool:
    """Whether a file of this name exists; one that we may not look at counts, so that reading it reports why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return os.access(path.parent.parent, os.X_OK)
    return True


def _config_home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME") or os.path.expanduser("~")
    return Path(environ.get("XDG_CONFIG_HOME") or Path(home) / ".config")


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = {name for one in fields().values() for name in (one.variable, *one.traits.aliases)}
    known |= set(RESERVED_VARIABLES)
    return [
        f"{name} (environment): unknown setting{nearest(name, known)}"
        for name in sorted(environ)
        if name.startswith("QUEEN_") and name not in known and not _is_kubernetes(name, environ[name])
    ]


def _is_kubernetes(name: str, value: str) -> bool:
    return bool(_KUBERNETES.fullmatch(name)) or (name == "QUEEN_PORT" and "://" in value)


def _flag(one: Field, value: Any) -> str:
    """The option as it was written: a switch that is off is spelled --no-…."""
    return one.flag.replace("--", "--no-", 1) if one.kind == "bool" and value is False else one.flag
