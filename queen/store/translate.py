"""Turns driver errors into Queen's. The only place that knows SQLSTATEs and psycopg's classes by name."""

from __future__ import annotations

import re
import sys

import psycopg

from queen import errors

_CONTENTION = frozenset({"40001", "40P01", "55P03"})
_NO_SCHEMA = frozenset({"3F000", "42P01", "42883", "42703"})
# Raised by transact.sql and replay.sql; the detail of the error is the message at fault.
_REFUSED = {"QN001": "duplicate", "QN002": "ack_rejected", "QN003": "gone", "QN004": "taken"}
# A child of messages or its pop function, by name; a call may still name one that was dropped a moment ago. When it was
# dropped in the middle of the call, PostgreSQL knows its number only, and says so in English whatever its language.
_EPOCH_NAME = re.compile(r"\b(pop|messages)_\d+\b")
_DROPPED_MEANWHILE = ("cache lookup failed for", "could not open relation with OID")
_READ_ONLY = "25006"
_CANCELLED = "57014"
# PostgreSQL answered, and gave the statement up: nothing of it was kept. All else leaves open what became of it.
_KNOWN = frozenset({_READ_ONLY, _CANCELLED})
# A failed connection attempt carries no SQLSTATE. In other languages than English such a refusal counts as "away".
_REFUSALS = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied for database",
    "is not permitted to log in",
)


def translate(error: BaseException) -> errors.QueenError | None:
    """The Queen error that says the same, or None for what is no error of the database's."""
    if isinstance(error, errors.QueenError):
        return error
    if isinstance(error, psycopg.Error):
        return _by_pool(error) or _by_state(error, error.sqlstate or "")
    if isinstance(error, OSError | TimeoutError):
        return errors.StoreUnavailable(f"the database did not answer: {error or type(error).__name__}", unknown=True)
    return None


def _by_pool(error: psycopg.Error) -> errors.QueenError | None:
    """What a pool says of itself. Who has no pool, as a short command, need not load its package for this."""
    if "psycopg_pool" not in sys.modules:
        return None
    import psycopg_pool

    if isinstance(error, psycopg_pool.TooManyRequests):
        return errors.Overloaded(
            "too many requests are waiting for a database connection",
            hint="raise database.pool_size (DB_POOL_SIZE), or database.pool_waiting_max for a longer line",
        )
    if isinstance(error, psycopg_pool.PoolTimeout | psycopg_pool.PoolClosed):
        return errors.PoolTimeout(
            f"timeout exceeded when trying to connect: {error}",
            hint="raise DB_POOL_SIZE or DB_CONNECTION_TIMEOUT, or find out what keeps the database busy",
        )
    return None


def _by_state(error: psycopg.Error, state: str) -> errors.QueenError:
    text = str(error).strip().split("\n")[0]
    if _met_a_gone_epoch(text, state):
        return errors.EpochGone(f"what this call looked into was dropped meanwhile: {text}")
    if state in _CONTENTION or _met_a_new_epoch(error, state):
        return errors.Contention(f"the database gave up this call: {text}")
    if state in _REFUSED:
        position = int(error.diag.message_detail) - 1 if error.diag.message_detail else None
        return errors.TransactionRefused(text, reason=_REFUSED[state], position=position)
    if state == "23505":
        return errors.DuplicateTransaction(text)
    if state.startswith("28") or state == "42501" or (not state and _is_refusal(text)):
        return errors.AccessDenied(
            text, hint="check user, password and rights of database.url (or PG_USER, PG_PASSWORD)"
        )
    if state in _NO_SCHEMA:
        return errors.SchemaMismatch(
            f"the database does not hold the schema that this version needs: {text}", hint="run: queen db migrate"
        )
    if state.startswith("22"):
        return errors.InvalidRequest(f"PostgreSQL cannot store this: {text}")
    if _is_away(error, state):
        known = state in _KNOWN or state.startswith("53")
        return errors.StoreUnavailable(f"the database is away: {text}", unknown=not known)
    return errors.QueenError(f"unexpected database error {state}: {text}")


def _is_refusal(text: str) -> bool:
    """Errors of a connection that is being made carry no state. A missing database may still come; a role does not."""
    return any(words in text for words in _REFUSALS) or ('role "' in text and text.endswith("does not exist"))


def _met_a_new_epoch(error: psycopg.Error, state: str) -> bool:
    """A transaction of several pushes chose an epoch that was opened after it had begun, and does not see its child."""
    return state == "23514" and error.diag.constraint_name is None


def _met_a_gone_epoch(text: str, state: str) -> bool:
    if state in ("42P01", "42883"):
        return _EPOCH_NAME.search(text) is not None
    return state == "XX000" and any(words in text for words in _DROPPED_MEANWHILE)


def _is_away(error: psycopg.Error, state: str) -> bool:
    if state[:2] in ("08", "57", "53") or state in (_READ_ONLY, _CANCELLED):
        return True
    return not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
