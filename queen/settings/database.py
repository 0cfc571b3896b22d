"""Which database the settings name: whether one is set at all, and its address as libpq takes it.

Works on settings only and never connects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from queen.settings.schema import Settings

ADDRESS_KEYS: Final = ("database.host", "database.port", "database.user", "database.name")
URL_KEY: Final = "database.url"
PASSWORD_KEY: Final = "database.password"


def database_configured(settings: Settings) -> bool:
    """Whether the settings name a PostgreSQL of the user's own; if not, Queen runs a private one."""
    database = settings.database
    parts = (database.url, database.host, database.port, database.user, database.password, database.name)
    return any(part is not None for part in parts)


def database_dsn(settings: Settings) -> str:
    """The address as a libpq URL or connection string, password included: never print it unmasked."""
    database = settings.database
    if database.url is not None:
        return with_password(database.url, database.password)
    parts: Mapping[str, object] = {
        "host": database.host,
        "port": database.port,
        "user": database.user,
        "password": database.password,
        "dbname": database.name,
    }
    return " ".join(f"{name}={_quoted(str(value))}" for name, value in parts.items() if value is not None)


def direct_dsn(settings: Settings) -> str:
    """The address for sessions that cannot go through a transaction pooler."""
    database = settings.database
    if database.direct_url is None:
        return database_dsn(settings)
    own = url_has_password(database.direct_url)
    return with_password(database.direct_url, None if own else database.password)


def url_has_password(url: str) -> bool:
    """Whether a URL carries a password, in front of the host or among its parameters."""
    netloc, query = _split(url)
    user_info, at, _ = netloc.rpartition("@")
    named = any(unquote(part.partition("=")[0]) == "password" for part in query.split("&"))
    return named or (bool(at) and ":" in user_info)


def with_password(url: str, password: str | None) -> str:
    """The URL with this password as a parameter, which libpq puts above one in front of the host."""
    if password is None:
        return url
    return f"{url}{'&' if '?' in url else '?'}password={quote(password, safe='')}"


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.netloc, parts.query


def _quoted(value: str) -> str:
    """A value of a libpq connection string: in quotes, with backslash and quote escaped."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
