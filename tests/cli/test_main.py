"""The `queen` command: help, version, config show, and how every kind of failure looks and ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from queen import __version__, errors
from queen.cli import console
from queen.cli import main as cli


@pytest.fixture(autouse=True)
def _clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    for name in (
        "DB_POOL_SIZE",
        "DB_CONNECTION_TIMEOUT",
        "DATABASE_URL",
        "PORT",
        "HIGH_PERF",
        "PG_PASSWORD",
        "PG_HOST",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Make `queen version` raise what is put into the list."""
    raised: list[BaseException] = []

    def fail(*_: object, **__: object) -> None:
        raise raised[0]

    monkeypatch.setattr(console, "put", fail)
    return raised


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"queen {__version__} (Python 3.")
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"queen {__version__}\n"


def test_version_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["version", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["queen"] == __version__
    assert set(document) == {"schema_version", "queen", "python", "platform"}


def test_help_lists_the_commands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    for command in ("serve", "produce", "consume", "db", "config", "version"):
        assert f"\n  {command} " in text
    assert "Exit codes: 0 done" in text


@pytest.mark.spec("R1")
def test_config_show_tells_the_origin_of_each_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "q.yaml").write_text(
        "database:\n  connection_timeout_ms: 7s\nserver:\n  port: 7000\n", encoding="utf-8"
    )
    monkeypatch.setenv("DB_POOL_SIZE", "100")
    monkeypatch.setenv("PORT", "7001")
    assert cli.run(["config", "show", "--origin", "--config", "q.yaml", "--port", "7002"]) == 0
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["database.pool_size"] == ["100", "environment DB_POOL_SIZE"]
    assert rows["database.connection_timeout_ms"] == ["7s", "q.yaml:2"]
    assert rows["server.port"] == ["7002", "flag --port"]
    assert rows["server.host"] == ["127.0.0.1", "default"]
    assert rows["database.url"] == ["-", "default"]


@pytest.mark.spec("R1")
def test_config_show_as_json_with_secrets_masked(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://u:hush@h/d"
    arguments = ["config", "show", "--json", "--origin", "--database-url", url, "--cors-origin", "https://a.example"]
    assert cli.run([*arguments, "--cors-origin", "localhost", "--connection-timeout", "10000"]) == 0
    text = capsys.readouterr().out
    assert "hush" not in text
    document = json.loads(text)
    assert document["schema_version"] == 1
    assert document["settings"]["database"]["url"] == "postgresql://u:***@h/d"
    assert document["settings"]["database"]["connection_timeout_ms"] == 10_000
    assert document["settings"]["server"]["cors_origins"] == ["https://a.example", "localhost"]
    assert document["origins"]["server"]["cors_origins"] == "flag --cors-origin"
    assert document["settings"]["engine"]["high_perf"] is None


def test_config_show_without_origin_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["config", "show", "--json", "--no-high-perf"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "origins" not in document
    assert document["settings"]["engine"]["high_perf"] is False


def test_wrong_settings_end_with_2_and_all_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["config", "show", "--port", "x", "--pool-size", "0"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "queen: 2 settings are wrong: (exit 2)"
    assert lines[1].startswith("  server.port = 'x' (flag --port): must be")
    assert lines[2].startswith("  database.pool_size = '0' (flag --pool-size): must be")
    assert lines[3].startswith("hint: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serv"], "No such command 'serv'"),
        (["config", "show", "--prot", "1"], "No such option"),
        (["config", "show", "--port"], "requires an argument"),
        (["version", "more"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_hint(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.run(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("queen: ")
    assert "--help" in printed.err.splitlines()[-1]
    assert printed.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SettingsError("m"), 2),
        (errors.StoreUnavailable("m"), 3),
        (errors.PoolTimeout("m"), 3),
        (errors.ServerUnreachable("m"), 3),
        (errors.AccessDenied("m"), 3),
        (errors.EmbeddedError("m"), 3),
        (errors.PortInUse("m"), 3),
        (errors.ShuttingDown("m"), 3),
        (errors.SchemaMismatch("m"), 4),
        (errors.NotFound("m"), 1),
        (errors.InvalidRequest("m"), 1),
    ],
)
def test_every_error_has_its_exit_code(
    broken: list[BaseException], capsys: pytest.CaptureFixture[str], error: errors.QueenError, code: int
) -> None:
    error.hint = "do this"
    broken.append(error)
    assert cli.run(["version"]) == code
    assert capsys.readouterr().err == f"queen: m (exit {code})\nhint: do this\n"


def test_a_bug_is_one_line_and_a_file(
    broken: list[BaseException],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broken.append(ZeroDivisionError("a\nb"))
    assert cli.run(["version"]) == 70
    first, hint = capsys.readouterr().err.splitlines()
    assert first == "queen: unexpected error: ZeroDivisionError: a b (exit 70)"
    (kept,) = tmp_path.glob("queen-error-*.txt")
    assert str(kept) in hint
    assert "Traceback (most recent call last)" in kept.read_text(encoding="utf-8")


def test_a_bug_is_told_even_where_no_file_can_be_written(
    broken: list[BaseException], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    broken.append(ZeroDivisionError())
    assert cli.run(["version"]) == 70
    assert "queen --debug" in capsys.readouterr().err


def test_debug_prints_the_traceback(broken: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    broken.append(errors.NotFound("m"))
    assert cli.run(["--debug", "version"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert cli.run(["version"]) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (typer.Exit(4), 4), (SystemExit(143), 143), (BrokenPipeError(), 0)]
)
def test_other_endings(
    broken: list[BaseException], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    monkeypatch.setattr(console, "discard_output", lambda: None)
    broken.append(error)
    assert cli.run(["version"]) == code


def test_a_reader_that_leaves_early_causes_no_complaint(tmp_path: Path) -> None:
    shell = f"'{sys.executable}' -m queen config show | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, timeout=120, check=False, env=_environment()
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("server.host")


def _environment() -> dict[str, str]:
    root = Path(__file__).resolve().parent.parent.parent
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "HOME": str(root / "nowhere")}


def test_the_command_line_loads_no_server_and_no_driver() -> None:
    heavy = "{'fastapi', 'uvicorn', 'psycopg', 'httpx', 'rich', 'msgspec'}"
    code = f"import sys, queen.cli.commands as c; c.commands(); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True, env=_environment()
    )
    assert done.stdout.strip() == "[]"
