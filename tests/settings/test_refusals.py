"""What stops a start: unknown names, wrong types, values out of range, broken files. All told at once, with origin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from queen.errors import SettingsError
from queen.settings import resolve
from queen.settings.fields import Field
from queen.settings.schema import fields
from queen.settings.values import show
from tests.settings.test_layers import settings_in

NUMBERS = [field for field in fields().values() if field.kind == "int"]


def refusal(folder: Path, **given: Any) -> str:
    """The message with which these settings are refused."""
    with pytest.raises(SettingsError) as caught:
        settings_in(folder, **given)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("server:\n  prot: 1\n", "server.prot (config/queen.yaml:2): unknown setting; did you mean server.port?"),
        (
            "databse:\n  pool_size: 1\n",
            "databse.pool_size (config/queen.yaml:2): unknown setting; did you mean database.pool_size?",
        ),
        (
            "engine:\n  pool_size: 1\n",
            "engine.pool_size (config/queen.yaml:2): unknown setting; did you mean database.pool_size?",
        ),
        ("server:\n  zzzzzz: 1\n", "server.zzzzzz (config/queen.yaml:2): unknown setting"),
        ("server: 5\n", "server (config/queen.yaml:1): must be a section with settings below it"),
        ("server:\n  port: {a: 1}\n", "server.port (config/queen.yaml:2): must be one value or a plain list of values"),
        (
            "server:\n  port: [1, 2]\n",
            "server.port = ['1', '2'] (config/queen.yaml:2): must be a whole number from 0 to 65535",
        ),
        ("server:\n  port: 1\n  port: 2\n", "server.port (config/queen.yaml:3): is given twice, first in line 2"),
        ("server:\n  port: 1\nserver:\n  host: a\n", "server (config/queen.yaml:3): is given twice, first in line 1"),
        ("- a\n- b\n", "config/queen.yaml:1: must be sections with settings below them, such as server: and port:"),
        ("just words\n", "config/queen.yaml:1: must be sections with settings below them, such as server: and port:"),
        ("? [a]\n: 1\n", "config/queen.yaml:1: a name must be plain text"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, yaml: str, message: str) -> None:
    assert refusal(tmp_path, yaml=yaml) == message


@pytest.mark.parametrize(
    ("yaml", "start"),
    [
        ("server:\n  port: [1\n", "config/queen.yaml:3: is not valid YAML: "),
        ("a: 1\n b: 2\n", "config/queen.yaml:2: is not valid YAML: "),
        ("server:\n\tport: 1\n", "config/queen.yaml:2: is not valid YAML: "),
        ("a: *missing\n", "config/queen.yaml:1: is not valid YAML: "),
        ("a: 1\n---\nb: 2\n", "config/queen.yaml:2: is not valid YAML: "),
        ("a: \x07\n", "config/queen.yaml: is not valid YAML: "),
        ("a: " + "[" * 5000, "config/queen.yaml: is nested too deeply"),
        ("#" * (1 << 20) + "\n", "config/queen.yaml: is larger than 1 MiB"),
    ],
)
def test_files_that_are_no_yaml(tmp_path: Path, yaml: str, start: str) -> None:
    message = refusal(tmp_path, yaml=yaml)
    assert message.startswith(start)
    assert "\n" not in message


@pytest.mark.parametrize(
    "yaml", ["", "# only words\n", "---\n", "null\n", "server:\n", "\ufeffserver:\n  port: 6632\n"]
)
def test_files_that_set_nothing_are_fine(tmp_path: Path, yaml: str) -> None:
    assert settings_in(tmp_path, yaml=yaml).settings.server.port == 6632


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"server:\n  host: caf\xe9\n")
    with pytest.raises(SettingsError, match=r"bad\.yaml:2: is not UTF-8 text"):
        resolve(config_path=tmp_path / "bad.yaml", environ={})


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read: is a directory"):
        resolve(config_path=tmp_path, environ={})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "closed.yaml"
    file.write_text("server:\n", encoding="utf-8")
    file.chmod(0)
    with pytest.raises(SettingsError, match=r"closed\.yaml: cannot be read: permission denied"):
        resolve(config_path=file, environ={})


def test_a_file_that_cannot_be_read_is_told_from_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "queen.yaml").write_text("server:\n", encoding="utf-8")
    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(tmp_path) == "config/queen.yaml: cannot be read: permission denied"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("QUEEN_SERVR__PORT", "QUEEN_SERVR__PORT (environment): unknown setting; did you mean QUEEN_SERVER__PORT?"),
        ("QUEEN_POOL_SIZE", "QUEEN_POOL_SIZE (environment): unknown setting; did you mean QUEEN_DATABASE__POOL_SIZE?"),
        ("QUEEN_CONFG", "QUEEN_CONFG (environment): unknown setting; did you mean QUEEN_CONFIG?"),
    ],
)
def test_unknown_variables_with_the_nearest_name(tmp_path: Path, name: str, message: str) -> None:
    assert refusal(tmp_path, environ={name: "1"}) == message


def test_variables_that_are_none_of_ours_are_left_alone(tmp_path: Path) -> None:
    environ = {
        "QUEEN_URL": "http://127.0.0.1:1",
        "QUEENS": "8",
        "queen_server__port": "1",
        "QUEEN_SERVICE_HOST": "10.0.0.1",
        "QUEEN_SERVICE_PORT_HTTP": "6632",
        "QUEEN_PORT": "tcp://10.0.0.1:6632",
        "QUEEN_PORT_6632_TCP_ADDR": "10.0.0.1",
    }
    assert settings_in(tmp_path, environ=environ).settings.server.port == 6632
    assert "QUEEN_PORT (environment)" in refusal(tmp_path, environ={"QUEEN_PORT": "6632"})


def test_an_unknown_flag_is_refused(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path, flags={"server.prot": 1}) == "server.prot (flag): unknown setting; did you mean server.port?"
    )


@pytest.mark.parametrize("field", NUMBERS, ids=lambda field: field.key)
def test_every_number_has_bounds_and_takes_them_and_nothing_beyond(tmp_path: Path, field: Field) -> None:
    low, high = field.traits.low, field.traits.high
    assert low is not None
    assert high is not None
    # One more or less, in the setting's own plain unit; a value above a companion bound is another test's subject.
    for beyond in (low - 1, high + 1):
        message = refusal(tmp_path, environ={field.variable: str(beyond)})
        assert message.startswith(f"{field.key} = '{beyond}' (environment {field.variable}): must be ")
        assert show(field, low) in message
        assert show(field, high) in message
    resolved = settings_in(tmp_path, environ={field.variable: str(low)})
    assert getattr(getattr(resolved.settings, field.section), field.name) == low


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("server.port", "abc", "a whole number from 0 to 65535"),
        ("server.port", "6632.0", "a whole number from 0 to 65535"),
        ("server.port", True, "a whole number from 0 to 65535"),
        ("server.port", "9" * 5000, "a whole number from 0 to 65535"),
        ("server.host", "", "text that is not empty"),
        ("server.host", "a\0b", "text that is not empty"),
        (
            "server.cors_origins",
            "example.com",
            "origins such as https://app.example.com, or localhost (any port), or * (any)",
        ),
        ("server.cors_origins", ["https://a.example/path"], "origins such as"),
        ("server.body_bytes_max", "64 apples", "a size from 1KiB to 2GiB"),
        ("server.keep_alive_ms", "soon", "a duration from 0s to 1d"),
        ("engine.lease_seconds_max", "1500ms", "a duration from 1s to 365d"),
        ("engine.high_perf", "maybe", "true or false, or auto"),
        ("database.url", "mysql://x", "a URL such as postgresql://user:password@host:5432/database"),
        ("database.schema", "Queen", "a plain lower-case name"),
        ("database.schema", "pg_queen", "a plain lower-case name"),
        ("database.schema", "a" * 64, "a plain lower-case name"),
        ("database.schema", "x; drop", "a plain lower-case name"),
        ("log.level", "loud", "one of debug, info, warning, error"),
    ],
)
def test_values_of_the_wrong_kind(tmp_path: Path, key: str, value: object, allowed: str) -> None:
    message = refusal(tmp_path, flags={key: value})
    assert message.startswith(key)
    assert f"(flag {fields()[key].flag}): must be {allowed}" in message
    assert len(message) < 300


@pytest.mark.parametrize(("text", "value"), [("auto", None), ("TRUE", True), ("on", True), ("0", False), ("No", False)])
def test_words_for_the_mode(tmp_path: Path, text: str, value: bool | None) -> None:
    assert settings_in(tmp_path, environ={"HIGH_PERF": text}).settings.engine.high_perf is value


def test_all_problems_come_in_one_message(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        yaml="server:\n  prot: 1\n  port: x\nlog:\n  level: loud\n",
        environ={"DB_POOL_SIZE": "0", "QUEEN_NONSENSE__X": "1"},
        flags={"database.connection_timeout_ms": "never"},
    )
    lines = message.split("\n")
    assert lines[0] == "6 settings are wrong:"
    assert len(lines) == 7
    for part in (
        "server.prot",
        "server.port =",
        "log.level",
        "DB_POOL_SIZE",
        "QUEEN_NONSENSE__X",
        "--connection-timeout",
    ):
        assert sum(part in line for line in lines) == 1


def test_a_value_that_was_set_above_its_bound_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, environ={"QUEEN_ENGINE__POP_WAIT_MS_DEFAULT": "2m"})
    assert message == (
        "engine.pop_wait_ms_default = 2m (environment QUEEN_ENGINE__POP_WAIT_MS_DEFAULT): "
        "must not be above engine.pop_wait_ms_max, which is 1m"
    )
