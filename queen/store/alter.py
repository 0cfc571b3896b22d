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


_KEYWORDS: Final = """
all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case
cast char character check coalesce collate collation column concurrently constraint create cross current_catalog
current_date current_role current_schema current_time current_timestamp current_user dec decimal default
deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant
greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join
json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize
json_table json_value lateral leading least left like limit localtime localtimestamp merge_action national
natural nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay
placing position precision primary real references returning right row select session_user setof similar
smallint some substring symmetric system_user table tablesample then time timestamp to trailing treat trim true
union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat
xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
"""
"""PostgreSQL's, but for those of the kind `unreserved`, which are plain names too."""

_RESERVED: Final = frozenset(_KEYWORDS.split())
