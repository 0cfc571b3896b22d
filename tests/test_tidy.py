"""House rules as tests: directions of imports, who may use which library, shape of the tree. Reads files only."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from queen.settings.schema import fields, sections
from queen.settings.values import parse

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "queen"
FILES = sorted(PACKAGE.rglob("*.py"))

# A module may import from its own layer's package and from every layer below. Within a layer only where `BESIDE` says.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"model", "errors", "units", "log", "measure"}),
    frozenset({"sql", "settings", "wire"}),
    frozenset({"store"}),
    frozenset({"engine"}),
    frozenset({"tune"}),
    frozenset({"embedded"}),
    frozenset({"runtime"}),
    frozenset({"client", "enqueue"}),
    frozenset({"server", "bench", "doctor", "dashboard"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
BESIDE = {("log", "units"), ("measure", "units"), ("units", "errors"), ("model", "errors"), ("wire", "settings")}
# The edges that skip what lies between: the bench drives servers from outside and looks at PostgreSQL through
# `store.probe`; the client knows the wire alone.
NEVER = {
    "bench": {"server", "engine", "runtime", "sql"},
    "client": {"runtime", "engine", "store", "sql", "settings", "embedded"},
    "enqueue": {"runtime", "engine", "store", "sql", "settings", "embedded"},
    "doctor": {"server", "engine", "runtime"},
    "tune": {"engine"},
    "embedded": {"engine"},
    "engine": {"sql"},
}

HOMES = {
    "psycopg": ("store",),
    "psycopg_pool": ("store",),
    "fastapi": ("server",),
    "starlette": ("server",),
    "uvicorn": ("server",),
    "typer": ("cli",),
    "rich": ("cli",),
    "yaml": ("settings",),
    "httpx": ("client",),
    "cryptography": ("engine",),
}


# What `import queen` hands out, loaded when it is asked for: programs of others use it, without a server.
HANDED_OUT = {"enqueue"}


def _part(path: Path) -> str:
    """The first name below queen/: the package or module that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def _imports(tree: ast.AST, path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere in it, absolute; of `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif _is_dynamic_import(node):
            assert isinstance(node, ast.Call)
            argument = node.args[0]
            yield argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else "?"


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).with_suffix("").parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _is_dynamic_import(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not node.args:
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in ("import_module", "__import__")


def _queen_parts(path: Path, source: str) -> set[str]:
    """The parts of Queen that a file's source imports."""
    names = [name.split(".") for name in _imports(ast.parse(source), path)]
    known = frozenset().union(*LAYERS)
    return {parts[1] for parts in names if parts[0] == "queen" and len(parts) > 1 and parts[1] in known}


def _height(part: str) -> int:
    return next(height for height, layer in enumerate(LAYERS) if part in layer)


def import_problems(path: Path, source: str) -> list[str]:
    """The imports of one file that point up, sideways or past a fence."""
    part = _part(path)
    if part == "__init__":
        body = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
        at_once = ast.unparse(ast.Module(body=[*body], type_ignores=[]))
        parts = (_queen_parts(path, source) - HANDED_OUT) | _queen_parts(path, at_once)
        return [f"{path.name} imports {name}" for name in sorted(parts)]
    bad = []
    for other in sorted(_queen_parts(path, source) - {part}):
        level = _height(other) == _height(part) and (part, other) not in BESIDE
        if _height(other) > _height(part) or level or other in NEVER.get(part, ()):
            bad.append(f"{path.relative_to(ROOT)}: {part} must not import {other}")
    return bad


def library_problems(path: Path, source: str) -> list[str]:
    """The outside libraries that one file imports and another part of Queen is the home of."""
    used = {name.split(".")[0] for name in _imports(ast.parse(source), path)}
    return [
        f"{path.relative_to(ROOT)}: {library} belongs to {', '.join(HOMES[library])}"
        for library in sorted(used & HOMES.keys())
        if _part(path) not in HOMES[library]
    ]


def test_every_part_has_a_layer() -> None:
    known = frozenset().union(*LAYERS) | {"__init__"}
    assert {_part(path) for path in FILES} <= known


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert import_problems(path, source) == []
    assert library_problems(path, source) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("store/x.py", "import queen.engine.push"),
        ("store/x.py", "from queen import engine"),
        ("store/x.py", "from ..engine import push"),
        ("store/x.py", "from .. import engine"),
        ("store/deep/x.py", "from ...engine import push"),
        ("store/x.py", "def f():\n    import queen.cli.main"),
        ("store/x.py", "import importlib\nimportlib.import_module('queen.server.app')"),
        ("server/x.py", "from queen.bench import report"),
        ("client/x.py", "from queen.settings import resolve"),
        ("engine/x.py", "import queen.sql"),
        ("model.py", "import queen.units"),
    ],
)
def test_the_fence_sees_imports_that_point_up(place: str, source: str) -> None:
    assert import_problems(PACKAGE / place, source) != []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("engine/x.py", "import psycopg"),
        ("engine/x.py", "from psycopg.rows import tuple_row"),
        ("cli/x.py", "def f():\n    import uvicorn"),
        ("engine/x.py", "from yaml import safe_load"),
        ("server/x.py", "import rich.table"),
    ],
)
def test_the_fence_sees_libraries_away_from_home(place: str, source: str) -> None:
    assert library_problems(PACKAGE / place, source) != []


def test_the_fence_lets_good_imports_through() -> None:
    good = "import queen.store.pool\nfrom queen.errors import QueenError\nfrom . import push\nimport asyncio"
    assert import_problems(PACKAGE / "engine" / "x.py", good) == []
    assert library_problems(PACKAGE / "store" / "x.py", "import psycopg") == []


def _environment_uses(tree: ast.AST) -> list[int]:
    """Lines that read the environment by themselves."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"):
            lines.append(node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            lines += [node.lineno for alias in node.names if alias.name in ("environ", "environb", "getenv")]
    return lines


# Children of the private PostgreSQL get a cleaned copy of the environment; no setting is read from it.
ENVIRONMENT_READERS = {"settings", "embedded"}


def test_only_settings_read_the_environment() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        if _part(path) not in ENVIRONMENT_READERS
        for line in _environment_uses(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


_SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|SELECT\s+\w+\(|INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX|SCHEMA)|"
    r"ALTER\s+TABLE|DROP\s+TABLE)\b",
    re.DOTALL,
)


def _docstrings(tree: ast.AST) -> set[int]:
    """The ids of the nodes that are docstrings: prose may name a statement."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _sql_lines(source: str) -> list[int]:
    tree = ast.parse(source)
    prose = _docstrings(tree)
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in prose
        and _SQL.search(node.value)
    ]


# A check of the doctor keeps its statement beside the judgement that reads it, in one file; `store.inspect` runs it.
SQL_HOMES = ("store", "sql", "embedded", "doctor")


def test_sql_stays_in_the_store() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        if _part(path) not in SQL_HOMES
        for line in _sql_lines(path.read_text(encoding="utf-8"))
    }
    assert found == set()
    assert _sql_lines('x = "SELECT a FROM b"') == [1]
    assert _sql_lines('"""SELECT a FROM b"""') == []


def _project_files() -> list[Path]:
    tops = ["queen", "tests", "scripts", "benchmarks", "config", "docs", ".ci"]
    below = [path for top in tops for path in sorted((ROOT / top).rglob("*")) if path.is_file()]
    single = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    return [path for path in below + single if "__pycache__" not in path.parts and "results" not in path.parts]


def test_files_stay_small() -> None:
    large = {
        str(path.relative_to(ROOT)): path.stat().st_size
        for path in _project_files()
        if path.suffix in (".py", ".sql", ".sh") and path.stat().st_size >= 24_000
    }
    assert large == {}


# Folders of one machine; spelled in pieces, so that this file does not name them itself.
_MACHINE_PATHS = re.compile("|".join(re.escape("/" + name + "/") for name in ("work", "root", "home/[a-z]+")))


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = []
    for path in _project_files():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in _MACHINE_PATHS.finditer(text)]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT)) for path in FILES if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


_SETTING_LINE = re.compile(r"^  # ([a-z_]+): (.+)$")


def _uncommented(text: str) -> dict[str, dict[str, Any]]:
    """The example settings with every setting line switched on."""
    lines = [_SETTING_LINE.sub(r"  \1: \2", line) for line in text.splitlines()]
    loaded: dict[str, dict[str, Any]] = yaml.safe_load("\n".join(lines))
    return loaded


def test_the_settings_file_lists_every_setting_at_its_default() -> None:
    listed = _uncommented((ROOT / "config" / "queen.yaml").read_text(encoding="utf-8"))
    assert list(listed) == list(sections())
    values = {f"{section}.{name}": value for section, part in listed.items() for name, value in part.items()}
    assert list(values) == list(fields())
    for key, field in fields().items():
        value = None if values[key] is None else parse(field, values[key])
        assert value == field.default, key


def test_the_settings_file_gives_a_reason_and_the_aliases_of_every_setting() -> None:
    lines = (ROOT / "config" / "queen.yaml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if _SETTING_LINE.match(line):
            assert lines[number - 1].startswith("  # "), line
            assert not _SETTING_LINE.match(lines[number - 1]), f"{line} has no reason above it"
    text = " ".join(lines)
    for field in fields().values():
        for alias in field.traits.aliases:
            assert alias in text


def _project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return project


@pytest.mark.spec("R37")
def test_the_named_packages_are_used_and_every_dependency_gives_its_reason() -> None:
    requirements = _project()["dependencies"]
    names = {re.split(r"[\[<>=;]", requirement)[0].strip() for requirement in requirements}
    assert names >= {"typer", "rich", "psycopg", "pyyaml", "uvicorn", "fastapi"}
    assert any(requirement.startswith("psycopg[binary,pool]") for requirement in requirements)
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    for requirement in requirements:
        assert "<" in requirement, f"{requirement} has no upper bound"
        line = next(line for line in lines if f'"{requirement}"' in line)
        assert "#" in line, f"{requirement} gives no reason"


@pytest.mark.spec("R37")
def test_every_runtime_dependency_is_imported_by_queen_or_its_servers() -> None:
    imported = {
        name.split(".")[0].lower()
        for path in FILES
        for name in _imports(ast.parse(path.read_text(encoding="utf-8")), path)
    }
    modules = {"pyyaml": "yaml", "hdrhistogram": "hdrh"}
    # uvicorn loads these two by name.
    by_uvicorn = {"httptools", "uvloop"}
    for requirement in _project()["dependencies"]:
        name = re.split(r"[\[<>=;]", requirement)[0].strip().lower()
        assert modules.get(name, name.replace("-", "_")) in imported or name in by_uvicorn, f"{name} is not used"


@pytest.mark.spec("R38")
def test_the_top_level_is_as_agreed() -> None:
    for folder in ("queen", "config", "tests", "scripts"):
        assert (ROOT / folder).is_dir(), folder
    for file in (
        "pyproject.toml",
        "postgresql.conf.example",
        "pgbouncer.ini.example",
        "CHANGELOG.md",
        "README.md",
        "config/queen.yaml",
        "config/queen.dev.yaml",
    ):
        assert (ROOT / file).stat().st_size > 0, file
    assert (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").find("## Unreleased") > 0


BASELINE = {
    "max_connections": "200",
    "superuser_reserved_connections": "3",
    "shared_buffers": "512MB",
    "effective_cache_size": "2GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "wal_buffers": "16MB",
    "checkpoint_completion_target": "0.9",
    "max_wal_size": "2GB",
    "min_wal_size": "1GB",
    "random_page_cost": "1.1",
    "effective_io_concurrency": "200",
}


@pytest.mark.spec("R20")
def test_the_postgresql_example_holds_the_baseline_with_a_reason_a_line() -> None:
    lines = (ROOT / "postgresql.conf.example").read_text(encoding="utf-8").splitlines()
    settings = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            assignment, _, reason = line.partition("#")
            name, _, value = assignment.partition("=")
            settings[name.strip()] = value.strip()
            assert len(reason.split()) >= 2, f"{line} gives no reason"
    assert settings == BASELINE


def test_the_pgbouncer_example_has_the_reference_values() -> None:
    text = (ROOT / "pgbouncer.ini.example").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith(";")]
    settings = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    assert settings["pool_mode"] == "transaction"
    assert settings["max_client_conn"] == "1000"
    assert settings["default_pool_size"] == "100"
    assert settings["queen"].endswith("dbname=queen")
