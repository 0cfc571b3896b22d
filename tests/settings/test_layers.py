"""Defaults < YAML < environment < flags: which layer wins, every spelling of every setting, and what origins say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from queen.errors import SettingsError
from queen.settings import Resolved, Settings, resolve
from queen.settings.fields import Field
from queen.settings.schema import fields
from queen.settings.values import show

FIELDS = list(fields().values())
ALIASES = [(field, alias) for field in FIELDS for alias in field.traits.aliases]


def settings_in(
    folder: Path, yaml: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None
) -> Resolved:
    """Settings with this text as config/queen.yaml of a folder, and nothing of the machine's own."""
    if yaml:
        (folder / "config").mkdir(exist_ok=True)
        (folder / "config" / "queen.yaml").write_text(yaml, encoding="utf-8")
    return resolve(flags, environ={"HOME": str(folder / "home"), **(environ or {})}, cwd=folder)


def other_value(field: Field) -> tuple[str, Any]:
    """A value that is allowed and is not the default, as text and as it must come out."""
    if field.traits.choices:
        text = next(choice for choice in field.traits.choices if choice != field.default)
        return text, text
    if field.key.startswith("engine.encryption_key"):
        key = "ab" * 32
        return key, (key,) if field.kind == "list" else key
    if field.kind == "bool":
        return ("no", False) if field.default else ("yes", True)
    if field.kind == "list":
        return "https://a.example, https://b.example", ("https://a.example", "https://b.example")
    if field.kind == "int":
        value = field.traits.low if field.traits.low != field.default else field.traits.high
        assert value is not None
        return show(field, value), value
    text = "postgresql://db/x" if field.traits.secret == "url" else "other"
    return text, text


def value_of(settings: Settings, field: Field) -> Any:
    return getattr(getattr(settings, field.section), field.name)


def test_with_nothing_set_every_value_is_its_default(tmp_path: Path) -> None:
    resolved = settings_in(tmp_path)
    assert resolved.settings == Settings()
    assert set(resolved.origins.values()) == {"default"}
    assert list(resolved.origins) == list(fields())


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
def test_every_setting_can_be_set_by_its_variable(tmp_path: Path, field: Field) -> None:
    text, value = other_value(field)
    resolved = settings_in(tmp_path, environ={field.variable: text})
    assert value_of(resolved.settings, field) == value
    assert resolved.origins[field.key] == f"environment {field.variable}"


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
def test_every_setting_can_be_set_in_yaml(tmp_path: Path, field: Field) -> None:
    text, value = other_value(field)
    resolved = settings_in(tmp_path, yaml=f"# first line\n{field.section}:\n  {field.name}: '{text}'\n")
    assert value_of(resolved.settings, field) == value
    assert resolved.origins[field.key] == "config/queen.yaml:3"


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
def test_every_setting_can_be_set_by_a_flag(tmp_path: Path, field: Field) -> None:
    text, value = other_value(field)
    resolved = settings_in(tmp_path, flags={field.key: text})
    assert value_of(resolved.settings, field) == value
    assert resolved.origins[field.key].startswith("flag --")


@pytest.mark.parametrize(("field", "alias"), ALIASES, ids=lambda one: one if isinstance(one, str) else one.key)
def test_every_alias_sets_its_setting_and_gives_way_to_the_full_name(tmp_path: Path, field: Field, alias: str) -> None:
    text, value = other_value(field)
    by_alias = settings_in(tmp_path, environ={alias: text})
    assert value_of(by_alias.settings, field) == value
    assert by_alias.origins[field.key] == f"environment {alias}"
    both = settings_in(tmp_path, environ={alias: "nonsense", field.variable: text})
    assert value_of(both.settings, field) == value
    assert both.origins[field.key] == f"environment {field.variable}"


def test_the_documented_aliases_are_there() -> None:
    assert {alias for _, alias in ALIASES} >= {
        "DB_POOL_SIZE",
        "DB_CONNECTION_TIMEOUT",
        "DATABASE_URL",
        "PG_HOST",
        "PG_PORT",
        "PG_USER",
        "PG_PASSWORD",
        "PG_DATABASE",
        "PORT",
        "HIGH_PERF",
    }


@pytest.mark.spec("R1")
def test_flags_over_environment_over_yaml_over_defaults(tmp_path: Path) -> None:
    yaml = "database:\n  pool_size: 20\n  connection_timeout_ms: 2000\n"
    environ = {"DB_POOL_SIZE": "100", "DB_CONNECTION_TIMEOUT": "5001"}
    flags = {"database.pool_size": "150", "database.connection_timeout_ms": "10000"}
    steps = [
        (settings_in(tmp_path), 16, 5000, "default", "default"),
        (settings_in(tmp_path, yaml), 20, 2000, "config/queen.yaml:2", "config/queen.yaml:3"),
        (
            settings_in(tmp_path, yaml, environ),
            100,
            5001,
            "environment DB_POOL_SIZE",
            "environment DB_CONNECTION_TIMEOUT",
        ),
        (settings_in(tmp_path, yaml, environ, flags), 150, 10_000, "flag --pool-size", "flag --connection-timeout"),
    ]
    for resolved, size, timeout_ms, size_origin, timeout_origin in steps:
        assert resolved.settings.database.pool_size == size
        assert resolved.settings.database.connection_timeout_ms == timeout_ms
        assert resolved.origins["database.pool_size"] == size_origin
        assert resolved.origins["database.connection_timeout_ms"] == timeout_origin


def test_a_layer_that_sets_nothing_leaves_the_weaker_value(tmp_path: Path) -> None:
    yaml = "server:\n  port: 7000\n  host:\nengine:\n"
    resolved = settings_in(
        tmp_path,
        yaml,
        environ={"PORT": "", "QUEEN_SERVER__PORT": ""},
        flags={"server.port": None, "server.cors_origins": []},
    )
    assert resolved.settings.server.port == 7000
    assert resolved.settings.server.host == "127.0.0.1"
    assert resolved.origins["server.cors_origins"] == "default"


def test_the_folder_above_the_personal_file(tmp_path: Path) -> None:
    personal = tmp_path / "xdg" / "queen"
    personal.mkdir(parents=True)
    (personal / "queen.yaml").write_text("server:\n  port: 7001\n  host: 0.0.0.0\n", encoding="utf-8")
    resolved = settings_in(tmp_path, "server:\n  port: 7002\n", environ={"XDG_CONFIG_HOME": str(tmp_path / "xdg")})
    assert (resolved.settings.server.port, resolved.settings.server.host) == (7002, "0.0.0.0")
    assert resolved.origins["server.host"] == f"{personal / 'queen.yaml'}:3"


def test_the_personal_file_is_below_the_home_folder_by_default(tmp_path: Path) -> None:
    personal = tmp_path / "home" / ".config" / "queen"
    personal.mkdir(parents=True)
    (personal / "queen.yaml").write_text("server: {port: 7001}\n", encoding="utf-8")
    assert settings_in(tmp_path).settings.server.port == 7001


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_file_that_is_asked_for_is_read_alone(tmp_path: Path, by_variable: bool) -> None:
    (tmp_path / "other.yaml").write_text("server:\n  host: 0.0.0.0\n", encoding="utf-8")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "queen.yaml").write_text("server:\n  port: 7002\n", encoding="utf-8")
    environ = {"HOME": str(tmp_path), **({"QUEEN_CONFIG": "other.yaml"} if by_variable else {})}
    resolved = resolve(config_path=None if by_variable else Path("other.yaml"), environ=environ, cwd=tmp_path)
    assert (resolved.settings.server.port, resolved.settings.server.host) == (6632, "0.0.0.0")
    assert resolved.origins["server.host"] == "other.yaml:2"


def test_a_file_that_is_asked_for_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.yaml: there is no such file"):
        resolve(config_path=Path("missing.yaml"), environ={}, cwd=tmp_path)


def test_a_switch_that_is_off_is_named_as_it_was_written(tmp_path: Path) -> None:
    resolved = settings_in(tmp_path, flags={"engine.high_perf": False})
    assert resolved.settings.engine.high_perf is False
    assert resolved.origins["engine.high_perf"] == "flag --no-high-perf"


def test_a_default_follows_a_bound_that_was_set_below_it(tmp_path: Path) -> None:
    resolved = settings_in(tmp_path, environ={"QUEEN_ENGINE__POP_WAIT_MS_MAX": "10s"})
    assert resolved.settings.engine.pop_wait_ms_default == 10_000
    assert resolved.origins["engine.pop_wait_ms_default"] == "default, bounded by engine.pop_wait_ms_max"


def test_the_environment_of_the_process_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEEN_CONFIG", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("QUEEN_SERVER__PORT", "7003")
    assert resolve().settings.server.port == 7003


def test_a_path_may_start_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    resolved = settings_in(tmp_path, flags={"embedded.data_dir": "~/queen"})
    assert resolved.settings.embedded.data_dir == "/somewhere/queen"


@pytest.mark.parametrize(
    ("written", "value"),
    [("'0123'", "0123"), ("0123", "0123"), ("1e3", "1e3"), ("yes", "yes"), ("2026-01-31", "2026-01-31")],
)
def test_text_in_yaml_stays_as_it_is_written(tmp_path: Path, written: str, value: str) -> None:
    yaml = f"database:\n  password: {written}\n"
    assert settings_in(tmp_path, yaml).settings.database.password == value
