"""The texts of statements that change settings of a server, a table or a role. Pure; `operate` and people run them."""

from __future__ import annotations

from typing import Final

LISTS: Final = frozenset({"shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"})
"""Settings whose value is a list: as one quoted text it would be a list of one."""


def set_system(name: str, value: str) -> str:
    """ALTER SYSTEM SET of one setting."""
    words = [word.strip() for word in value.split(",")] if name in LISTS else [value]
    return f"ALTER SYSTEM SET {identifier(name)} = {', '.join(map(literal, words))};"


def reset_system(name: str) -> str:
    """ALTER SYSTEM RESET of one setting."""
    return f"ALTER SYSTEM RESET {identifier(name)};"


def set_table(schema: str, table: str, parameters: dict[str, str]) -> str:
    """ALTER TABLE SET of the storage parameters of one table."""
    listed = ", ".join(f"{identifier(name)} = {literal(value)}" for name, value in parameters.items())
    return f"ALTER TABLE {identifier(schema)}.{identifier(table)} SET ({listed});"


def reset_table(schema: str, table: str, names: list[str]) -> str:
    """ALTER TABLE RESET of storage parameters."""
    listed = ", ".join(map(identifier, names))
    return f"ALTER TABLE {identifier(schema)}.{identifier(table)} RESET ({listed});"


def set_role(role: str, name: str, value: str) -> str:
    """ALTER ROLE SET of one setting."""
    return f"ALTER ROLE {identifier(role)} SET {identifier(name)} = {literal(value)};"


def reset_role(role: str, name: str) -> str:
    """ALTER ROLE RESET of one setting."""
    return f"ALTER ROLE {identifier(role)} RESET {identifier(name)};"


def identifier(name: str) -> str:
    """A name, quoted where it is not a plain lower-case word."""
    plain = name.replace("_", "a").isalnum() and name.isascii() and name == name.lower() and not name[0].isdigit()
    return name if plain and name not in _RESERVED else '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text constant, whatever standard_conforming_strings says."""
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


_RESERVED: Final = frozenset(
    {"user", "role", "all", "table", "public", "default", "current_user", "session_user", "order"}
)
