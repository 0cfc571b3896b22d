"""Every exception that Queen raises on purpose.

A shallow tree. Each class has a stable `code` (the word that clients, logs and tests branch on), says whether
repeating the same call can help (`retryable`), and each instance may carry a `hint`: what to do about it.
This module knows nothing of HTTP statuses and exit codes; `queen.server.errors` and `queen.cli.console` map them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class QueenError(Exception):
    """Base of all errors with a cause that the reader can act on."""

    code = "queen_error"
    retryable = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidRequest(QueenError):
    """The caller sent something that can never work; repeating it unchanged is useless."""

    code = "bad_request"


class BodyTooLarge(InvalidRequest):
    """The request body is above `server.body_bytes_max`."""

    code = "body_too_large"


class PayloadTooLarge(InvalidRequest):
    """One message's payload is above `engine.payload_bytes_max`."""

    code = "payload_too_large"


class NotFound(QueenError):
    """The named queue, partition or group does not exist here."""

    code = "not_found"


class Overloaded(QueenError):
    """A bound of this server was reached; `retry_after_ms` says when to come back."""

    code = "overloaded"
    retryable = True

    def __init__(self, message: str, *, hint: str | None = None, retry_after_ms: int = 1000) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_ms = retry_after_ms


class QueueFull(QueenError):
    """The queue has no room below its own `maxSize`; `retry_after_ms` says when to come back. Nothing was stored."""

    code = "queue_full"
    retryable = True

    def __init__(self, message: str, *, hint: str | None = None, retry_after_ms: int = 1000) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_ms = retry_after_ms


class NotSupported(InvalidRequest):
    """The API has a place for this, and this version does not do it."""

    code = "not_supported"


class PayloadSealed(QueenError):
    """A stored payload is encrypted and cannot be opened here: its key is missing, or it was tampered with."""

    code = "payload_sealed"
    retryable = True
    retry_after_ms = 5000


class StoreUnavailable(QueenError):
    """PostgreSQL is away, or did not answer in time. `unknown`: what was sent may or may not have been carried out."""

    code = "store_unavailable"
    retryable = True

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_ms: int = 1000, unknown: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_ms = retry_after_ms
        self.unknown = unknown


class PoolTimeout(StoreUnavailable):
    """No database connection became free within `database.connection_timeout_ms`. Nothing was sent."""

    code = "pool_timeout"


class ShuttingDown(Overloaded):
    """This server is draining; another instance, or this one after its restart, will take the request."""

    code = "shutting_down"


class AccessDenied(QueenError):
    """PostgreSQL refused the credentials or the rights of the role."""

    code = "access_denied"


class SchemaMismatch(QueenError):
    """The database holds a schema that this version cannot serve."""

    code = "schema_mismatch"


class CannotLook(QueenError):
    """PostgreSQL did not answer a question of the doctor. `kind`: privilege, missing, timeout,
    lock, refused, or faulty: the question itself is wrong, whatever the server."""

    code = "cannot_look"

    def __init__(self, message: str, *, hint: str | None = None, kind: str = "refused") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class CannotChange(QueenError):
    """PostgreSQL refused a change of an operator's plan; nothing changed. `busy`: only because a lock was not free.
    `gone`: what it names is not there."""

    code = "cannot_change"

    def __init__(self, message: str, *, hint: str | None = None, busy: bool = False, gone: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.busy = busy
        self.gone = gone


class RepairRefused(QueenError):
    """`queen doctor --fix` or `--undo` would not be safe here; nothing was changed."""

    code = "repair_refused"


class DoctorFileError(QueenError):
    """A baseline or an undo file of the doctor cannot be read or written."""

    code = "bad_doctor_file"


class SettingsError(QueenError):
    """A setting is unknown, of the wrong type, or out of range. Stops the start."""

    code = "bad_setting"


class EmbeddedError(QueenError):
    """The private PostgreSQL cannot be found, created, started or reached."""

    code = "embedded_postgres"


class TuneInputError(QueenError):
    """What a plan for PostgreSQL should be computed from cannot be, or is missing and cannot be measured here."""

    code = "bad_tune_input"


class TuneRefused(QueenError):
    """A setting or a change of PostgreSQL's configuration that would be unsafe. Nothing was changed."""

    code = "tune_refused"


class PortInUse(QueenError):
    """The address that the server should listen on is taken, or not ours to take."""

    code = "port_in_use"


class WorkersFailed(QueenError):
    """The worker processes of `queen serve` end again and again before they can serve."""

    code = "workers_failed"


class ServerUnreachable(QueenError):
    """A client command could not reach a Queen server at the given URL."""

    code = "server_unreachable"
    retryable = True


class NotQueen(ServerUnreachable):
    """Something answers at the given URL, and it is not a Queen server."""

    code = "not_queen"
    retryable = False


class ConsentNeeded(QueenError):
    """Refused for safety: this could harm data of others. The hint names the option that gives consent."""

    code = "consent_needed"


class ResumeRefused(QueenError):
    """A state file tells of another run, or of files that are no longer what they were. Nothing was sent."""

    code = "resume_refused"


class ResumeNotWritten(QueenError):
    """A state file could not be stored, as on a full disk. What was there before is as it was."""

    code = "resume_not_written"


class ServerFailed(ServerUnreachable):
    """The server was reached and failed on its own side (a 5xx that names no other cause). Repeating may help."""

    code = "server_failed"


class MessagesNotStored(QueenError):
    """A producer could not store messages that it had taken; `unstored` hands them back, in order."""

    code = "not_stored"

    def __init__(self, message: str, *, unstored: Sequence[Any]) -> None:
        super().__init__(message)
        self.unstored = unstored


class ResultFileError(QueenError):
    """A file that should hold a result of the bench cannot be used: wrong kind, version or size, or damaged."""

    code = "bad_result_file"


class ResultsDiffer(QueenError):
    """Results that were asked to be taken together do not belong together."""

    code = "results_differ"


class ResultNotWritten(QueenError):
    """A result could not be stored, as on a full disk. The file that was there before is as it was."""

    code = "result_not_written"


class ComparisonRefused(QueenError):
    """Runs of the bench that cannot be compared as asked: cut short, invalid, or of different machines."""

    code = "comparison_refused"


class DuplicateTransaction(QueenError):
    """A push met a transaction id that is stored already. Never leaves the engine, which then sorts it out."""

    code = "duplicate_transaction"


class TransactionRefused(QueenError):
    """A transaction was rolled back because one of its operations cannot be carried out; nothing of it was kept.

    `reason` is the word of the wire (duplicate, ack_rejected); `position` the message at fault, from 0, if it is one.
    """

    code = "transaction_refused"

    def __init__(self, message: str, *, reason: str, position: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.position = position


class Contention(QueenError):
    """PostgreSQL gave up one of several calls that waited for each other. Nothing was stored; repeating is right."""

    code = "contention"
    retryable = True


class EpochGone(Contention):
    """A call looked into an epoch that was dropped meanwhile. Nothing was stored; repeating it looks elsewhere."""
