"""Which database is meant: url against host and the rest over the layers, the address for libpq, and masked secrets."""

from __future__ import annotations

from pathlib import Path

import psycopg.conninfo
import pytest

from queen.errors import SettingsError
from queen.settings import database_configured, database_dsn, direct_dsn, mask_url
from tests.settings.test_layers import settings_in

URL = "postgresql://u:secret@h:5433/d"


def test_with_nothing_set_no_database_is_configured(tmp_path: Path) -> None:
    assert not database_configured(settings_in(tmp_path).settings)


@pytest.mark.parametrize("name", ["DATABASE_URL", "PG_HOST", "PG_PORT", "PG_USER", "PG_PASSWORD", "PG_DATABASE"])
def test_any_part_configures_a_database(tmp_path: Path, name: str) -> None:
    value = {"DATABASE_URL": URL, "PG_PORT": "5433"}.get(name, "x")
    assert database_configured(settings_in(tmp_path, environ={name: value}).settings)


def test_the_parts_become_one_connection_string(tmp_path: Path) -> None:
    environ = {
        "PG_HOST": "/run/my sockets",
        "PG_PORT": "5433",
        "PG_USER": "o'brien",
        "PG_PASSWORD": "a\\b'c d=e",
        "PG_DATABASE": "q",
    }
    parsed = psycopg.conninfo.conninfo_to_dict(database_dsn(settings_in(tmp_path, environ=environ).settings))
    assert parsed == {
        "host": "/run/my sockets",
        "port": "5433",
        "user": "o'brien",
        "password": "a\\b'c d=e",
        "dbname": "q",
    }


def test_a_url_is_handed_on_as_it_is(tmp_path: Path) -> None:
    assert database_dsn(settings_in(tmp_path, environ={"DATABASE_URL": URL}).settings) == URL


@pytest.mark.parametrize(
    "url", ["postgresql://u@h/d", "postgresql://u@h/d?sslmode=require", "postgresql:///d?host=/run"]
)
def test_a_password_joins_a_url_without_one(tmp_path: Path, url: str) -> None:
    environ = {"DATABASE_URL": url, "PG_PASSWORD": "p&q=/@ü"}
    parsed = psycopg.conninfo.conninfo_to_dict(database_dsn(settings_in(tmp_path, environ=environ).settings))
    assert parsed["password"] == "p&q=/@ü"
    assert parsed["dbname"] == "d"


def test_a_stronger_password_replaces_that_of_the_url(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, f"database:\n  url: {URL}\n", environ={"PG_PASSWORD": "new"}).settings
    assert psycopg.conninfo.conninfo_to_dict(database_dsn(settings))["password"] == "new"


def test_a_stronger_url_replaces_weaker_parts_and_their_password(tmp_path: Path) -> None:
    yaml = "database:\n  host: old\n  user: me\n  password: secret\n"
    resolved = settings_in(tmp_path, yaml, environ={"DATABASE_URL": "postgresql://new/d"})
    assert database_dsn(resolved.settings) == "postgresql://new/d"
    assert resolved.settings.database.password is None
    assert resolved.origins["database.host"] == "default"


def test_stronger_parts_replace_a_weaker_url_and_its_password(tmp_path: Path) -> None:
    yaml = "database:\n  url: postgresql://old/d\n  password: secret\n"
    settings = settings_in(tmp_path, yaml, environ={"PG_HOST": "new"}).settings
    assert psycopg.conninfo.conninfo_to_dict(database_dsn(settings)) == {"host": "new"}


def test_parts_of_several_layers_add_up(tmp_path: Path) -> None:
    yaml = "database:\n  host: h\n  user: me\n"
    settings = settings_in(tmp_path, yaml, environ={"PG_PASSWORD": "p", "PG_USER": "you"}).settings
    assert psycopg.conninfo.conninfo_to_dict(database_dsn(settings)) == {"host": "h", "user": "you", "password": "p"}


@pytest.mark.parametrize("rival", [{"PG_HOST": "h"}, {"PG_USER": "u"}, {"PG_PASSWORD": "p"}])
def test_two_addresses_in_one_layer_are_refused(tmp_path: Path, rival: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"contradicts database\.url \(environment DATABASE_URL\)") as caught:
        settings_in(tmp_path, environ={"DATABASE_URL": URL, **rival})
    assert "secret" not in caught.value.message


def test_the_direct_address(tmp_path: Path) -> None:
    one = settings_in(tmp_path, environ={"DATABASE_URL": "postgresql://pooler/d", "PG_PASSWORD": "p"}).settings
    assert direct_dsn(one) == database_dsn(one)
    direct = {"QUEEN_DATABASE__DIRECT_URL": "postgresql://server/d"}
    two = settings_in(
        tmp_path, environ={"DATABASE_URL": "postgresql://pooler/d", "PG_PASSWORD": "p", **direct}
    ).settings
    assert direct_dsn(two) == "postgresql://server/d?password=p"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://h:5432/d", "postgresql://h:5432/d"),
        ("postgresql://u:a@b/c:d@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:p@h/d", "postgresql://:***@h/d"),
        ("postgresql://h/d?user=u&password=p&sslmode=require", "postgresql://h/d?user=u&password=***&sslmode=require"),
        ("postgresql://h/d?sslpassword=p", "postgresql://h/d?sslpassword=***"),
        ("http://h/x", "http://h/x"),
    ],
)
def test_urls_are_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_no_secret_is_printed(tmp_path: Path) -> None:
    environ = {"PG_PASSWORD": "hush1", "PG_HOST": "h", "QUEEN_DATABASE__DIRECT_URL": "postgresql://u:hush2@h/d"}
    resolved = settings_in(tmp_path, environ=environ)
    shown = {row.key: (row.value, row.data) for row in resolved.rows()}
    assert shown["database.password"] == ("***", "***")
    assert shown["database.direct_url"] == ("postgresql://u:***@h/d",) * 2
    assert shown["database.url"] == ("", None)
    plain = {row.key: row.value for row in resolved.rows(masked=False)}
    assert plain["database.password"] == "hush1"


def test_a_url_that_is_refused_is_not_printed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_in(tmp_path, environ={"DATABASE_URL": "mysql://u:hush@h/d"})
    assert "hush" not in caught.value.message
