"""Brings a schema to the version of this code: numbered steps once, functions anew when their text changed.

One transaction under an advisory lock, so several servers may start at once and a killed one leaves nothing half done.
A schema that is newer than the code is refused: the older code would not know the rules that its data follow.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field

import psycopg
from psycopg import AsyncConnection, sql

from queen import errors
from queen import sql as files
from queen.store.translate import translate

log = logging.getLogger(__name__)

Connection = AsyncConnection[tuple[object, ...]]

_BOOKKEEPING = """
create table if not exists schema_migrations (
    version integer primary key, name text not null, applied_at timestamptz not null default now());
create table if not exists schema_functions (digest text primary key, applied_at timestamptz not null default now());
"""

# A role may be bound to short statements (queen tune-pg does so); a migration takes the time that it needs.
_PATIENCE = """
select set_config(name, '0', true) from pg_settings
 where name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
"""

_POPS = "^pop_[0-9]+$"
_OURS = "from pg_proc where pronamespace = quote_ident(current_schema())::regnamespace and proname ~ %s"
_NAMED = f"select oid::regprocedure::text {_OURS}"
# One that takes other parameters than before stands beside its former self, and calls of it may fit both.
_OUTDATED = (
    "select f.name from (select oid::regprocedure::text as name,"
    f" row_number() over (partition by proname order by age(xmin)) as n {_OURS}) f where f.n > 1"
)


@dataclass(slots=True)
class MigrationReport:
    """What a migration did. `from_version` is 0 for a new schema."""

    from_version: int
    to_version: int
    applied: list[str] = field(default_factory=list)
    functions_changed: bool = False


async def migrate(dsn: str, schema: str) -> MigrationReport:
    """Create or upgrade the schema.

    Raises SchemaMismatch (it is newer than this code), AccessDenied (the role may not create it), StoreUnavailable.
    """
    try:
        async with await AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            report = await check(connection, schema)
            if report.to_version == report.from_version and not report.functions_changed:
                return report
            async with connection.transaction():
                return await _migrate(connection, schema)
    except psycopg.Error as error:
        raise (translate(error) or errors.QueenError(str(error))) from error


async def check(connection: Connection, schema: str) -> MigrationReport:
    """What `migrate` would do, without doing it. Raises SchemaMismatch for a schema newer than this code."""
    prefix = sql.Identifier(schema)
    steps = sql.Identifier(schema, "schema_migrations").as_string(None)
    row = await _one(connection, sql.SQL("select to_regclass({})").format(sql.Literal(steps)))
    if row is None:
        return MigrationReport(0, files.schema_version(), functions_changed=True)
    version = await _one(
        connection, sql.SQL("select coalesce(max(version), 0) from {}.schema_migrations").format(prefix)
    )
    assert isinstance(version, int)
    if version > files.schema_version():
        raise errors.SchemaMismatch(
            f"schema {schema!r} is at version {version}, newer than this program's {files.schema_version()}",
            hint="start the newer version of queen, or use another schema (database.schema)",
        )
    digest = await _one(connection, sql.SQL("select max(digest) from {}.schema_functions").format(prefix))
    return MigrationReport(version, files.schema_version(), functions_changed=digest != _digest())


async def _migrate(connection: Connection, schema: str) -> MigrationReport:
    await connection.execute(_PATIENCE)
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"queen migrate {schema}",))
    if await _one(connection, sql.SQL("select to_regnamespace({})").format(_quoted(schema))) is None:
        # Only then: a role that owns the schema need not be allowed to create one.
        await connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
    await connection.execute(sql.SQL("set local search_path to {}, pg_temp").format(sql.Identifier(schema)))
    # Functions may call one another; their bodies are resolved when they first run.
    await connection.execute("set local check_function_bodies to off")
    await connection.execute(_BOOKKEEPING)
    report = await check(connection, schema)
    for step in files.migrations():
        if step.version > report.from_version:
            await connection.execute(step.text.encode())
            await connection.execute(
                "insert into schema_migrations (version, name) values (%s, %s)", (step.version, step.name)
            )
            report.applied.append(step.name)
    await _create_functions(connection)
    if report.applied:
        log.info("schema migrated schema=%s from=%d to=%d", schema, report.from_version, report.to_version)
    else:
        log.info("functions renewed schema=%s version=%d", schema, report.to_version)
    return report


async def _create_functions(connection: Connection) -> None:
    for name, text in files.functions():
        await _replace(connection, text, f"^{name}$")
    # Opening an epoch that exists creates its pop function anew.
    await _replace(
        connection,
        "select open_epoch(e.epoch) from (select epoch from epochs"
        " union all select 1 where not exists (select from epochs)) e",
        _POPS,
    )
    await _drop(connection, _OUTDATED, "|".join([_POPS, *(f"^{name}$" for name, _ in files.functions())]))
    await connection.execute("delete from schema_functions")
    await connection.execute("insert into schema_functions (digest) values (%s)", (_digest(),))


async def _replace(connection: Connection, statement: str, names: str) -> None:
    """Replaces functions, which running servers hardly notice; where their results changed, drops them first."""
    try:
        async with connection.transaction():
            await connection.execute(statement.encode())
    except psycopg.errors.InvalidFunctionDefinition:
        await _drop(connection, _NAMED, names)
        await connection.execute(statement.encode())


async def _drop(connection: Connection, which: str, names: str) -> None:
    for (function,) in await (await connection.execute(which.encode(), (names,))).fetchall():
        assert isinstance(function, str)
        await connection.execute(f"drop function {function}".encode())


def _quoted(schema: str) -> sql.Literal:
    """The schema's name as to_regnamespace reads it."""
    return sql.Literal(sql.Identifier(schema).as_string(None))


def _digest() -> str:
    """Changes when the text of any function changes."""
    return hashlib.sha256("\n".join(text for _, text in files.functions()).encode()).hexdigest()


async def _one(connection: Connection, statement: sql.Composed) -> object:
    row = await (await connection.execute(statement)).fetchone()
    return row[0] if row else None
