"""Every setting of Queen with its default, its reason and its bounds: the only place that holds a default.

A new setting is one line here, and one in `config/queen.yaml`; the sources, `queen config show` and the checks follow
by themselves. Knows nothing of where values come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from queen.settings.fields import Field, fields_of, setting

RESERVED_VARIABLES: Final = (
    "QUEEN_CONFIG",
    "QUEEN_URL",
    "QUEEN_QUEUE",
    "QUEEN_PARTITION",
    "QUEEN_GROUP",
    "QUEEN_MESSAGE_ID",
    "QUEEN_TRANSACTION_ID",
    "QUEEN_ATTEMPT",
    "QUEEN_MESSAGES",
)
"""Environment names that start like settings but are none: the file of `--config`, the server of client commands, and
what `queen consume --exec` tells its command, which may well be `queen produce`."""

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
_DAY_MS = 86_400_000

_ORIGIN = r"\*|localhost|https?://[^/\s,]+"
_ORIGIN_DOC = "origins such as https://app.example.com, or localhost (any port), or * (any)"
_URL_DOC = "a URL such as postgresql://user:password@host:5432/database"
_URL = r"postgres(ql)?://\S*"
_KEY = r"[0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{43}=?"
_KEY_DOC = "32 bytes, as 64 hexadecimal digits or in base64; openssl rand -hex 32 makes one"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The HTTP side."""

    host: str = setting("127.0.0.1", "Address to listen on; only this machine reaches the default.")
    port: int = setting(6632, "Port to listen on; 0 takes any free one.", low=0, high=65535, aliases=("PORT",))
    cors_origins: tuple[str, ...] = setting(
        ("localhost",),
        "Web pages from these origins may call the API: localhost means any port of this machine, * means any page.",
        pattern=_ORIGIN,
        pattern_doc=_ORIGIN_DOC,
        flag="--cors-origin",
    )
    body_bytes_max: int = setting(64 * _MIB, "Largest request body.", unit="bytes", low=_KIB, high=2 * _GIB)
    stall_timeout_ms: int = setting(
        30_000,
        "A client that neither sends the rest of its request nor reads its answer for this long is cut off.",
        unit="ms",
        low=1_000,
        high=_DAY_MS,
    )
    connections_max: int = setting(20_000, "Most client connections at once; more are refused.", low=1, high=1_000_000)
    keep_alive_ms: int = setting(
        75_000, "An idle client connection is closed after this.", unit="ms", low=0, high=_DAY_MS
    )
    workers: int = setting(
        1,
        "Processes that serve the port; they share out database.pool_size and the bounds of the server.",
        low=1,
        high=256,
    )
    drain_delay_ms: int = setting(
        0, "On stop, time between answering 'not ready' and refusing connections.", unit="ms", low=0, high=600_000
    )
    shutdown_timeout_ms: int = setting(
        10_000, "On stop, time for requests in flight to end.", unit="ms", low=0, high=600_000
    )


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """A PostgreSQL of your own; a private one runs when url, host, port, user, password and name are not set."""

    url: str | None = setting(
        None,
        "Where PostgreSQL is, as one URL.",
        secret="url",
        aliases=("DATABASE_URL",),
        flag="--database-url",
        pattern=_URL,
        pattern_doc=_URL_DOC,
    )
    direct_url: str | None = setting(
        None,
        "A way around a transaction pooler; LISTEN needs a session of its own.",
        secret="url",
        pattern=_URL,
        pattern_doc=_URL_DOC,
    )
    host: str | None = setting(None, "Host or socket directory, instead of url.", aliases=("PG_HOST",))
    port: int | None = setting(None, "Port, beside host.", low=1, high=65535, aliases=("PG_PORT",))
    user: str | None = setting(None, "Role, beside host.", aliases=("PG_USER",))
    password: str | None = setting(
        None, "Password, beside host or a url without one.", secret="whole", aliases=("PG_PASSWORD",)
    )
    name: str | None = setting(None, "Database, beside host.", aliases=("PG_DATABASE",))
    schema: str = setting(
        "queen",
        "Schema that holds all of Queen's tables and functions.",
        pattern=r"(?!pg_)[a-z_][a-z0-9_]{0,62}",
        pattern_doc="a plain lower-case name of at most 63 letters, digits and _, not starting with pg_",
    )
    pool_size: int = setting(
        16,
        "Connections to PostgreSQL; 50 and more turn on high-performance mode.",
        low=1,
        high=1000,
        aliases=("DB_POOL_SIZE",),
    )
    connection_timeout_ms: int = setting(
        5_000,
        "Longest wait for a free connection, in milliseconds.",
        unit="ms",
        low=1,
        high=600_000,
        aliases=("DB_CONNECTION_TIMEOUT",),
        flag="--connection-timeout",
    )
    statement_timeout_ms: int = setting(
        30_000, "PostgreSQL ends a statement that runs longer; 0 means never.", unit="ms", low=0, high=_DAY_MS
    )
    pool_waiting_max: int = setting(
        10_000, "Most requests in line for a connection; more are refused.", low=1, high=1_000_000
    )
    connection_age_ms_max: int = setting(
        3_600_000,
        "A connection is replaced at this age, so that servers behind a balancer share evenly.",
        unit="ms",
        low=1_000,
        high=30 * _DAY_MS,
    )
    connection_idle_ms_max: int = setting(
        600_000, "A connection that is idle for this long is closed.", unit="ms", low=1_000, high=30 * _DAY_MS
    )
    reconnect_ms_max: int = setting(
        1_000, "Longest pause between attempts to reach a database that is away.", unit="ms", low=10, high=60_000
    )
    prepare_statements: bool | None = setting(
        None,
        "Prepare statements on the server; auto: unless a transaction pooler is in between.",
        none_word="auto",
    )


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """The private PostgreSQL that runs when no database is set."""

    data_dir: str | None = setting(None, "Where its data lives; the platform's data folder if not set.", path=True)
    bin_dir: str | None = setting(None, "PostgreSQL binaries to use; found by themselves if not set.", path=True)
    user: str | None = setting(None, "Unprivileged user that runs it when Queen runs as root.")
    start_timeout_ms: int = setting(60_000, "Longest wait for it to answer.", unit="ms", low=1_000, high=_DAY_MS)
    wal_reserve_bytes: int = setting(
        _GIB,
        "Write-ahead log that a new cluster makes ready, so that no commit waits for it; 0: none.",
        unit="bytes",
        low=0,
        high=16 * _GIB,
    )
    tune: str = setting(
        "auto",
        "Its first settings: auto fits them to this machine, within what 4GiB of memory allow; baseline is the same "
        "everywhere.",
        choices=("auto", "baseline"),
    )


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How work flows under load."""

    high_perf: bool | None = setting(
        None,
        "High-performance mode; auto follows database.pool_size (50 and more).",
        none_word="auto",
        aliases=("HIGH_PERF",),
    )
    push_messages_max: int | None = setting(
        None,
        "Most messages in one database operation; auto is 1000 in high-performance mode, else 500.",
        low=1,
        high=1_000,
        none_word="auto",
    )
    push_bytes_max: int | None = setting(
        None,
        "Most payload in one database operation; auto is 8MiB in high-performance mode, else 2MiB.",
        unit="bytes",
        low=_KIB,
        high=_GIB,
        none_word="auto",
    )
    push_repeat_ms_max: int = setting(
        10_000,
        "How long a push whose connection broke before the answer is repeated; 0: not at all.",
        unit="ms",
        low=0,
        high=600_000,
    )
    push_flushes_max: int = setting(
        1, "Pushes to the database in flight at once; one gathers most, more help when it is far away.", low=1, high=64
    )
    pop_flushes_max: int = setting(
        1, "Pops from the database in flight at once; one gathers most, more help when it is far away.", low=1, high=64
    )
    pop_gather_ms: int = setting(
        5,
        "Shortest time between two looks for messages while consumers keep up; 0: look at once.",
        unit="ms",
        low=0,
        high=1_000,
    )
    ack_flushes_max: int = setting(2, "Acks to the database in flight at once.", low=1, high=64)
    payload_bytes_max: int = setting(16 * _MIB, "Largest payload of one message.", unit="bytes", low=_KIB, high=_GIB)
    pending_bytes_max: int = setting(
        256 * _MIB,
        "Most payload waiting in memory; more is refused with 503.",
        unit="bytes",
        low=_MIB,
        high=1024 * _GIB,
    )
    memory_bytes_max: int | None = setting(
        None,
        "Memory of the process, kept by refusing requests with 503; auto is half of the machine's, counted only.",
        unit="bytes",
        low=128 * _MIB,
        high=1024 * _GIB,
        none_word="auto",
        aliases=("QUEEN_MAX_MEMORY",),
        flag="--max-memory",
    )
    parked_polls_max: int = setting(20_000, "Most long polls waiting at once; more are refused.", low=1, high=1_000_000)
    pop_batch_default: int = setting(200, "Messages a pop returns when it names no batch.", low=1, high=10_000)
    pop_batch_max: int = setting(10_000, "Most messages one pop may ask for.", low=1, high=100_000)
    pop_bytes_max: int = setting(32 * _MIB, "Most payload in one pop answer.", unit="bytes", low=_KIB, high=_GIB)
    pop_wait_ms_default: int = setting(
        30_000, "A waiting pop's time when it names none.", unit="ms", low=0, high=_DAY_MS
    )
    pop_wait_ms_max: int = setting(60_000, "Longest time that a pop may wait.", unit="ms", low=0, high=_DAY_MS)
    lease_seconds_max: int = setting(86_400, "Longest lease that may be asked for.", unit="s", low=1, high=31_536_000)
    subscription_mode_default: str = setting(
        "all", "Where a new consumer group starts: at the oldest message, or at new ones.", choices=("all", "new")
    )
    sweep_ms: int = setting(
        5_000,
        "Time between looks for overlooked work, one queue and group at a time.",
        unit="ms",
        low=100,
        high=600_000,
    )
    announce_ms: int = setting(
        15,
        "Time that news for other instances gather; nothing is sent while there are none.",
        unit="ms",
        low=1,
        high=1_000,
    )
    leader_lease_ms: int = setting(
        5_000,
        "An instance that gives no sign of life for this long counts as gone, and another leads.",
        unit="ms",
        low=2_000,
        high=600_000,
    )
    scheduled_check_ms: int = setting(
        5_000,
        "Time between looks for scheduled messages that another server stored; own ones are known.",
        unit="ms",
        low=100,
        high=60_000,
    )
    statistics_ms: int = setting(
        10_000,
        "Time between two counts of queues and groups while work goes on; sixty times that when it does not.",
        unit="ms",
        low=100,
        high=3_600_000,
    )
    cached_partitions_max: int = setting(1_000_000, "Partitions whose ids stay in memory.", low=100, high=100_000_000)
    remembered_messages_max: int = setting(
        1_000_000,
        "Leased messages whose place stays in memory, so that an ack needs no look-up.",
        low=0,
        high=100_000_000,
    )
    encryption_key: str | None = setting(
        None,
        "Payloads of queues with encryptionEnabled are stored encrypted under this key.",
        secret="whole",
        pattern=_KEY,
        pattern_doc=_KEY_DOC,
        aliases=("QUEEN_ENCRYPTION_KEY",),
    )
    encryption_keys_old: tuple[str, ...] = setting(
        (),
        "Keys of the past: what was stored under one of these can be read, and nothing new is stored under them.",
        secret="whole",
        pattern=_KEY,
        pattern_doc=_KEY_DOC,
        aliases=("QUEEN_ENCRYPTION_KEYS_OLD",),
    )
    epoch_age_ms_min: int = setting(
        600_000,
        "Messages go to a new child table at this age at the earliest.",
        unit="ms",
        low=100,
        high=30 * _DAY_MS,
    )
    epoch_age_ms_max: int = setting(
        _DAY_MS,
        "Messages go to a new child table at this age, whatever its size; later while there are many.",
        unit="ms",
        low=100,
        high=365 * _DAY_MS,
    )
    epoch_bytes_max: int = setting(
        _GIB,
        "Messages go to a new child table when it is this large, without its indexes; later while there are many.",
        unit="bytes",
        low=64 * _KIB,
        high=1024 * _GIB,
    )
    epochs_max: int = setting(100, "Most child tables of messages; no further one is opened.", low=8, high=1_000)
    upkeep_ms: int = setting(
        5_000, "Time between looks for expired messages and child tables that can go.", unit="ms", low=100, high=600_000
    )
    trace_ms_max: int = setting(
        7 * _DAY_MS,
        "Traces of messages are deleted at this age; 0: never.",
        unit="ms",
        low=0,
        high=3_650 * _DAY_MS,
    )
    upkeep_lock_ms: int = setting(
        25, "Longest wait of the upkeep for a lock; pushes may stand behind it.", unit="ms", low=1, high=1_000
    )
    slow_flush_ms: int = setting(
        100,
        "A flush to the database that takes this long is shown under /api/v1/status.",
        unit="ms",
        low=1,
        high=_DAY_MS,
    )
    activity_queues_max: int = setting(
        500,
        "Most queues whose numbers of a minute are written down; those of further ones go into a later minute.",
        low=1,
        high=10_000,
    )
    activity_minutes_kept_ms: int = setting(
        _DAY_MS,
        "Numbers of activity are kept by the minute for this long, then by the hour.",
        unit="ms",
        low=3_600_000,
        high=30 * _DAY_MS,
    )
    activity_hours_kept_ms: int = setting(
        7 * _DAY_MS,
        "Numbers of activity are kept by the hour for this long, then forgotten.",
        unit="ms",
        low=3_600_000,
        high=365 * _DAY_MS,
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What goes to standard error."""

    format: str = setting(
        "text", "Lines for people, or one JSON object a line.", choices=("text", "json"), flag="--log-format"
    )
    level: str = setting(
        "info",
        "The least severe line that is written.",
        choices=("debug", "info", "warning", "error"),
        flag="--log-level",
    )
    metrics_ms: int = setting(
        30_000,
        "In high-performance mode a line with the numbers is written this often; 0 means never.",
        unit="ms",
        low=0,
        high=_DAY_MS,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All sections, frozen. Constructors take the section that they need."""

    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    engine: EngineSettings = EngineSettings()
    log: LogSettings = LogSettings()


def fields() -> Mapping[str, Field]:
    """Every setting by its key, such as "server.port"."""
    return fields_of(Settings)


def sections() -> tuple[str, ...]:
    """The names of the sections, in order."""
    return tuple(dict.fromkeys(field.section for field in fields().values()))
