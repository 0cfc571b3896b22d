"""The record of a run: `result.json`. Everything else (terminal, HTML page, comparison, export) is a view of it.

Keys carry their units. A value that was not measured is null, never 0. The published JSON schema is generated from
these classes. Changing the meaning of a field, or removing one, takes a new SCHEMA_VERSION.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from queen.bench.workload import Workload

SCHEMA_VERSION = 1

Mode = Literal["target", "search", "sweep", "backlog", "burst", "soak", "chaos", "ab"]
Word = Literal["pass", "fail", "invalid", "wrong", "partial"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked. `command` is the line that repeats it, without secrets."""

    mode: Mode
    target_per_s: float | None
    workload: Workload
    slos: list[str]
    seed: int
    workers: int
    command: str
    own_server: bool
    own_database: bool
    faults: list[str] = []


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds count from the start of the run's clock."""

    name: Literal["setup", "null_run", "warmup", "measure", "drain"]
    start_s: float
    end_s: float
    notes: list[str] = []


class NullRun(msgspec.Struct, frozen=True, kw_only=True):
    """The generator against the built-in sink."""

    rate_per_s: float
    offered_per_s: float
    seconds: float
    generator_lag_p99_ms: float | None
    cpu_share_max: float
    """Of one core, the busiest worker."""
    cpu_share_total: float
    """Of one core, all workers together; may exceed 1."""
    overflow: int
    ok: bool
    reasons: list[str]


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds. A percentile without enough samples for the sample rule is null."""

    count: int
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p99_9: float | None
    p99_99: float | None
    max: float | None
    mean: float | None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One value a second from the start of the clock, warm-up and drain included. Null where nothing was measured.

    Names in use: offered, sent, accepted, delivered, acked, errors, in_flight, backlog, response_p50_ms,
    response_p99_ms, response_max_ms, e2e_p50_ms, e2e_p99_ms, e2e_max_ms, service_p99_ms, generator_lag_p99_ms,
    connection_wait_p99_ms, insert_p50_ms, insert_p99_ms, generator_cpu, server_cpu, postgres_cpu, machine_cpu, steal
    (shares of one core), server_rss_bytes, generator_rss_bytes, pool_in_use, pool_waiting, event_loop_lag_ms,
    rows_per_statement, statements_per_s, commits_per_s, wal_bytes_per_s, full_page_images_per_s, fsyncs_per_s,
    dead_tuples, oldest_xmin_age, table_bytes, index_bytes, checkpoints.
    """

    second: list[int]
    phase: list[str]
    values: dict[str, list[float | None]]
    waits: dict[str, list[int]] = {}
    """Samples of wait events of Queen's sessions in each second, by event; `CPU` for those that did not wait."""


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence of one message that is not as it should be."""

    kind: str
    group: str
    partition: str
    sequence: int
    seen: str
    """When it was sent and delivered, in seconds of the run's clock, and what else is known."""
    server: str | None = None
    """The server's view of that message."""


class LedgerReport(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by what became of them, over all groups; `groups` has each one. `complete`: the drain reached its end,
    so that what is missing is lost."""

    complete: bool
    sent: int
    accepted: int
    unknown: int
    refused: int
    delivered: int
    redelivered: int
    acked: int
    lost: int
    duplicated: int
    reordered: int
    early: int
    early_judged: bool
    corrupt: int
    ghost: int
    unacked: int
    unknown_delivered: int
    dead_letters: int
    groups: dict[str, dict[str, int]]
    anomalies: list[Anomaly]
    memory_bytes: int


class ServerSide(msgspec.Struct, frozen=True, kw_only=True):
    """Of the servers, over the measured time. Insert: in the server, push accepted → committed."""

    insert: Percentiles | None
    cpu_s: float | None
    rss_bytes_max: int | None
    counters: dict[str, float]
    rows_per_flush: dict[str, float | None]
    durability: str | None
    mode: str | None
    insert_histogram: str | None = None
    """What `insert` was taken from, encoded."""


class PostgresSide(msgspec.Struct, frozen=True, kw_only=True):
    """Of the database, over the measured time."""

    counters: dict[str, float]
    """commits, statements, wal_bytes, full_page_images, fsyncs, fsync_ms, checkpoints, blocks_read, deadlocks, …"""
    tables: dict[str, dict[str, float]]
    """By table: dead_tuples, updates, hot_updates, inserts, deletes, table_bytes, index_bytes."""
    waits: dict[str, int]
    samples: int
    cpu_s: float | None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Per message acked once, over the measured time."""

    server_cpu_us: float | None
    postgres_cpu_us: float | None
    generator_cpu_us: float | None
    wal_bytes: float | None
    commits: float | None
    statements: float | None
    disk_bytes: float | None
    wire_bytes: float | None


class SloOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One objective. `value` is null when it could not be measured, which is never a pass."""

    text: str
    value: float | None
    value_text: str
    held: bool
    always: bool
    """One of those that are always on."""
    reason: str | None = None
    windows_missed: int | None = None
    margin: float | None = None
    """How far within its limit the value is, as a share of that limit; below 0: missed. Null without a value, and for
    a limit of 0."""


class FaultReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one fault did. `recovery_s`: from its end until the rate was back at 95 % of the baseline; null: never."""

    name: str
    at_s: float
    end_s: float
    baseline_per_s: float | None
    dip_per_s: float | None
    recovery_s: float | None
    later_per_s: float | None
    later_equals_earlier: bool | None
    baseline_p99_ms: float | None
    later_p99_ms: float | None
    affected: dict[str, int]
    notes: list[str]


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """How the run was held, beside its null run: what decides whether it answers the question when it is judged
    again."""

    steady: bool
    environment: list[str]
    """What changed under way, or disturbed the run."""
    cpu_share_max: float | None
    """Of one core: the busiest worker over the measured time."""
    overflow: int
    """Messages that had to wait for the bound of what is in flight."""
    server_full: bool
    faults_missed: list[str] = []
    """Faults that were asked for and could not be done."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`line` is the one line for people and grep. `reasons` say why it is not a pass."""

    word: Word
    exit_code: int
    line: str
    reasons: list[str]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["run"] = "run"
    queen_version: str
    started_at: str
    duration_s: float
    partial: bool
    """The run was cut short; what is there is right, and not all of it."""
    request: Request
    fingerprint: dict[str, Any]
    fingerprint_hash: str
    phases: list[Phase]
    null_run: NullRun | None
    offered_per_s: float | None
    sent_per_s: float | None
    accepted_per_s: float | None
    delivered_per_s: float | None
    backlog_max: int | None
    errors: dict[str, int]
    error_share: float | None
    latency: dict[str, Percentiles]
    histograms: dict[str, str]
    """The measured time as a whole, by metric, encoded."""
    slices: dict[str, list[str | None]]
    """The same by slice of `slice_s` seconds of the measured time, for windows and comparisons."""
    slice_s: int
    series: Series
    ledger: LedgerReport
    server: ServerSide | None
    postgres: PostgresSide | None
    costs: Costs | None
    bottleneck: str | None
    faults: list[FaultReport]
    slos: list[SloOutcome]
    verdict: Verdict
    notes: list[str]
    drain_s: float | None = None
    """Where consumers came after the producers: how long they took until nothing was left."""
    drain_per_s: float | None = None
    """Messages a second in that time, of one group."""
    conditions: Conditions | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a search or sweep, or one run of an interleaved comparison: what it was, and how it went."""

    label: str
    setting: dict[str, float | str]
    seconds: float
    offered_per_s: float | None
    delivered_per_s: float | None
    response_p99_ms: float | None
    e2e_p99_ms: float | None
    held: bool
    reasons: list[str]


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """Several runs under one question: search, sweep, ab. `runs` are those that count in full: of a search the
    confirmed pair."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["search", "sweep", "ab"]
    queen_version: str
    started_at: str
    duration_s: float
    partial: bool
    command: str
    steps: list[Step]
    runs: list[Result]
    comparison: dict[str, Any] | None
    verdict: Verdict
    notes: list[str]
