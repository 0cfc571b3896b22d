"""Do the pages name only what exists? Settings, variables, commands, options, files, routes, limits and error codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import typer.main

from queen import errors
from queen.cli import commands as cli
from queen.server.errors import status_of
from queen.settings.schema import RESERVED_VARIABLES, fields, sections
from queen.settings.values import parse
from tests.support.server import EmbeddedServer

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TOPS = "queen|config|docs|scripts|tests|benchmarks"
# Named to say that they do not exist yet.
MISSING_COMMANDS = {"queen top"}
FOREIGN_VARIABLES = {"XDG_CONFIG_HOME"}
FOREIGN_OPTIONS = {"--no-deps"}  # of pip

_CODE = re.compile(r"`([^`\n]+)`")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_VARIABLE = re.compile(r"\b(?:QUEEN|DB|PG|HIGH|XDG|DATABASE)_[A-Z_]+\b")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def spans(path: Path) -> Iterator[str]:
    """The inline code of a page."""
    yield from _CODE.findall(_FENCED.sub("", path.read_text(encoding="utf-8")))


def rows(name: str, *heads: str) -> list[list[str]]:
    """The cells, without backquotes, of the table on a page that has these column heads."""
    head = "| " + " | ".join(heads) + " |"
    _, _, rest = page(name).partition(head + "\n")
    assert rest, f"{name} has no table with the head {head}"
    lines = rest.split("\n\n", 1)[0].splitlines()[1:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def commands() -> dict[str, set[str]]:
    """Every command with its options, from the command line itself."""
    found: dict[str, set[str]] = {}

    def visit(command: object, words: str) -> None:
        parameters = getattr(command, "params", [])
        found[words] = {name for one in parameters for name in (*one.opts, *one.secondary_opts)} | {"--help"}
        for name, below in getattr(command, "commands", {}).items():
            visit(below, f"{words} {name}")

    visit(typer.main.get_command(cli.commands()), "queen")
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_that_are_named_exist(path: Path) -> None:
    named = {text for text in spans(path) if re.fullmatch(rf"(?:{TOPS})/[\w./-]*|[\w.-]+\.example", text)}
    gone = {text for text in named if not (ROOT / text).exists()}
    gone |= {link for link in _LINK.findall(path.read_text("utf-8")) if not (path.parent / link).exists()}
    assert gone == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_settings_and_variables_that_are_named_exist(path: Path) -> None:
    keys = {text for text in spans(path) if re.fullmatch(rf"(?:{'|'.join(sections())})\.[a-z_]+", text)}
    assert keys - set(fields()) == set()
    known = {name for one in fields().values() for name in (one.variable, *one.traits.aliases)}
    named = set(_VARIABLE.findall(path.read_text(encoding="utf-8"))) - {"QUEEN_SERVER__PROT"}
    assert named - known - set(RESERVED_VARIABLES) - FOREIGN_VARIABLES == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_and_options_that_are_named_exist(path: Path) -> None:
    known = commands()
    named = {match[0] for text in spans(path) if (match := re.match(r"queen(?: [a-z][a-z-]*)+", text))}
    assert {text for text in named - MISSING_COMMANDS if text not in known} == set()
    options = set(_OPTION.findall(path.read_text(encoding="utf-8")))
    for command in (ROOT / "benchmarks").rglob("*.py"):
        options -= set(re.findall(r'"(--[a-z-]+)"', command.read_text(encoding="utf-8")))
    assert options - set().union(*known.values()) - FOREIGN_OPTIONS == set()


def test_commands_that_are_said_to_be_missing_are_missing() -> None:
    assert MISSING_COMMANDS & set(commands()) == set()
    assert MISSING_COMMANDS - set(spans(ROOT / "README.md")) == set()


def test_every_short_variable_is_in_the_table() -> None:
    table: dict[str, str] = {}
    for names, keys in rows("docs/settings.md", "variable", "setting"):
        keys = keys.split(";")[0]
        table |= dict(zip(names.split(", "), keys.split(", "), strict=True))
    assert table == {alias: key for key, one in fields().items() for alias in one.traits.aliases}


def test_the_limits_are_the_defaults() -> None:
    found = 0
    for what, limit, key in rows("docs/http.md", "what", "limit", "setting"):
        if key:
            text = (
                limit.replace(",", "")
                .replace(" MiB", "MiB")
                .replace("1 minute", "1m")
                .replace("1 day", "1d")
                .replace(" s", "s")
            )
            assert parse(fields()[key], text) == fields()[key].default, what
            found += 1
    assert found >= 9


def _error_classes(cls: type[errors.QueenError] = errors.QueenError) -> Iterator[type[errors.QueenError]]:
    yield cls
    for below in cls.__subclasses__():
        yield from _error_classes(below)


def test_the_error_table_has_the_statuses_that_are_sent() -> None:
    table = {code: int(status) for status, code, _ in rows("docs/http.md", "status", "code", "when")}
    elsewhere = {"no_such_route": 404, "origin_refused": 400, "head_too_large": 431, "request_stalled": 408}
    assert {code: table.pop(code, None) for code in elsewhere} == elsewhere
    sent = {cls.code: status_of(cls.__new__(cls)) for cls in _error_classes()}
    assert {code: sent.get(code) for code in table} == table
    # What stays inside, has an answer of its own, or ends a command: never an error of the server.
    inside = {
        "bad_doctor_file",
        "bad_result_file",
        "cannot_change",
        "bad_tune_input",
        "tune_refused",
        "cannot_look",
        "bad_setting",
        "result_not_written",
        "results_differ",
        "embedded_postgres",
        "port_in_use",
        "server_unreachable",
        "server_failed",
        "workers_failed",
        "comparison_refused",
        "consent_needed",
        "not_queen",
        "not_stored",
        "repair_refused",
        "resume_refused",
        "resume_not_written",
    }
    assert set(sent) - set(table) == inside | {"duplicate_transaction", "transaction_refused"}


@pytest.mark.pg
def test_the_route_table_has_the_routes_of_the_server(server: EmbeddedServer) -> None:
    paths = httpx.get(f"{server.url}/openapi.json", timeout=30).raise_for_status().json()["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    table = rows("docs/http.md", "method", "path", "does")
    assert {(method, path) for method, path, _ in table} == routes
    assert len(table) == len(routes)


@pytest.mark.pg
def test_the_metrics_table_has_the_metrics_of_the_server(server: EmbeddedServer) -> None:
    text = httpx.get(f"{server.url}/metrics/prometheus", timeout=30).raise_for_status().text
    sent = set(re.findall(r"^(queen_\w+)[ {]", text, re.MULTILINE))
    table = rows("docs/operations.md", "Prometheus", "JSON", "meaning")
    assert {name for names, _, _ in table for name in names.split(", ")} == sent
    snapshot = server.metrics()
    for _, keys, _ in table:
        for key in filter(None, keys.split(", ")):
            section, _, name = key.partition(".")
            assert section in snapshot, key
            assert not name or name in snapshot[section], key
