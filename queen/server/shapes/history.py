"""What the server keeps of days gone by, for whoever asks later what was wrong: a part of the status."""

from __future__ import annotations

from pydantic import Field

from queen.server.describe import Shape
from queen.server.shapes.series import TIME

MINUTES = "Of the last hour, oldest first; minutes in which nothing happened are left out."
TOTALS = "Since the start of the instance."
WORKER = "Slot of the process, from 1; 0: the only one."


class MinuteCounts(Shape):
    """What happened in a minute, by word."""

    minute: str = Field(description="Its beginning.", examples=[TIME])
    counts: dict[str, int] = Field(examples=[{"timeout": 3}])


class CallTimes(Shape):
    """Microseconds, one number a call; percentiles are interpolated. null: there was none.

    The buckets let whoever reads twice tell the percentiles of the time between.
    """

    count: int = Field(examples=[1200])
    sumUs: int = Field(examples=[1_800_000])
    p50Us: float | None = Field(examples=[800.0])
    p99Us: float | None = Field(examples=[9_000.0])
    boundsUs: list[int] = Field(description="The largest number that belongs to a bucket.", examples=[[0, 1, 3]])
    counts: list[int] = Field(examples=[[0, 0, 7]])


class Connections(Shape):
    """The pools of all processes of the instance together. Peaks of several processes are added: an upper bound."""

    sizeMax: int = Field(examples=[16])
    size: int = Field(examples=[16])
    idle: int = Field(examples=[12])
    waiting: int = Field(description="Requests that wait for a connection.", examples=[0])
    timeoutMs: int = Field(description="How long they may: database.connection_timeout_ms.", examples=[5000])
    peak: int = Field(description="Most in use at once since the start.", examples=[9])
    peakLastHour: int = Field(examples=[4])
    waits: CallTimes = Field(description="Time until a call had its connection.")
    holds: CallTimes = Field(description="Time that a call had it.")


class PastPoolEvent(Shape):
    """What went wrong with a connection, once or several times within a second."""

    kind: str = Field(examples=["timeout"])
    at: str = Field(examples=[TIME])
    worker: int = Field(description=WORKER, examples=[0])
    ms: int = Field(description="How long it was waited for, held or away; the longest of several.", examples=[5000])
    size: int = Field(description="Open connections just then.", examples=[16])
    idle: int = Field(examples=[0])
    waiting: int = Field(examples=[7])
    work: dict[str, int] = Field(description="The calls that it happened to.", examples=[{"push": 2}])
    text: str = Field(examples=[""])
    count: int = Field(examples=[2])


class PoolTroubles(Shape):
    """Troubles with connections: timeout, refused, long_wait (0.1 s), connection_lost, overrun, slow_call (1 s),
    outage, back."""

    totals: dict[str, int] = Field(description=TOTALS, examples=[{"timeout": 3}])
    minutes: list[MinuteCounts] = Field(description=MINUTES)
    events: list[PastPoolEvent] = Field(description="The last 200, oldest first.")


class PastFlush(Shape):
    """A push, pop or ack of the database that took long, or several within a second."""

    at: str = Field(examples=[TIME])
    worker: int = Field(description=WORKER, examples=[0])
    verb: str = Field(examples=["push"])
    ms: int = Field(examples=[740])
    messages: int = Field(description="Messages of a push; parts of requests of the others.", examples=[500])
    outcome: str = Field(description="slow, or the code of the error it ended with.", examples=["slow"])
    count: int = Field(examples=[1])


class FlushTroubles(Shape):
    """Slow flushes."""

    thresholdMs: int = Field(description="engine.slow_flush_ms", examples=[100])
    totals: dict[str, int] = Field(description=TOTALS, examples=[{"slow": 3}])
    minutes: list[MinuteCounts] = Field(description=MINUTES)
    events: list[PastFlush] = Field(description="The last 200, oldest first.")


class PastRefusal(Shape):
    """A request that was refused, or several within a second."""

    at: str = Field(examples=[TIME])
    worker: int = Field(description=WORKER, examples=[0])
    verb: str = Field(description="push, pop, ack, or management for all other routes.", examples=["push"])
    code: str = Field(examples=["overloaded"])
    error: str = Field(description="What the first of them was told.")
    count: int = Field(examples=[1])


class PastRefusals(Shape):
    """Refused requests by the code of their error; a queue that is not there is no refusal."""

    totals: dict[str, int] = Field(description=TOTALS, examples=[{"overloaded": 3}])
    minutes: list[MinuteCounts] = Field(description=MINUTES)
    events: list[PastRefusal] = Field(description="The last 200, oldest first.")


class PastOutage(Shape):
    """A time in which the database was away."""

    from_: str = Field(alias="from", examples=[TIME])
    ms: int | None = Field(description="null: it is away still.", examples=[4_200])
    processes: int = Field(description="Processes of the instance that noticed.", examples=[1])
    reason: str = Field(examples=["connection refused"])


class ServerStart(Shape):
    """A process that began to serve this database. Neither an end nor running: killed, or ended without a database."""

    instanceId: str = Field(examples=["0199c0de-0000-4000-8000-000000000000"])
    at: str = Field(examples=[TIME])
    endedAt: str | None = Field(examples=[None])
    running: bool = Field(examples=[True])
    hostname: str = Field(examples=["queue-1"])
    port: int = Field(examples=[6632])
    worker: int = Field(description=WORKER, examples=[0])
    version: str = Field(examples=["0.3.0"])


class StatementBaseline(Shape):
    """What a call of one function cost in earlier whole hours of the last week."""

    name: str = Field(examples=["push"])
    hours: int = Field(examples=[40])
    calls: int = Field(examples=[1_200_000])
    meanMs: float = Field(description="The median of the hours' means.", examples=[0.9])
    bestMs: float = Field(description="The mean of the best hour.", examples=[0.7])
    blocks: float = Field(description="Shared blocks a call, the median of the hours.", examples=[38.0])
    since: str = Field(examples=[TIME])


class History(Shape):
    """Of the whole instance, all its processes; `starts` and `statements` of all servers of this database."""

    since: str = Field(description="Start of the instance.", examples=[TIME])
    connections: Connections
    pool: PoolTroubles
    slowFlushes: FlushTroubles
    refusals: PastRefusals
    outages: list[PastOutage] = Field(description="The latest, oldest first.")
    starts: list[ServerStart] | None = Field(description="The latest 200, newest first; null: not known just now.")
    statements: list[StatementBaseline] | None = Field(
        description="Empty where PostgreSQL has not counted statements for long enough; null: not known just now."
    )


class Memory(Shape):
    """Of all processes of the instance together; bytes. Peaks of several processes are added: an upper bound."""

    budget: int = Field(description="What it may use; if not set, half of the machine for each process.")
    budgetSet: bool = Field(description="engine.memory_bytes_max is set, and kept to.", examples=[False])
    used: int = Field(description="Counted for requests and answers just now.", examples=[0])
    usedPeak: int = Field(description="The same at its highest, as far as it was seen.", examples=[0])
    rss: int = Field(description="Resident.", examples=[80_000_000])
    rssPeak: int = Field(examples=[90_000_000])
    machine: int = Field(description="Memory of the machine, or of the control group when that has less.")
    refused: int = Field(description="Requests refused for want of memory, since the start.", examples=[0])
    closed: int = Field(description="Processes that take no large request just now.", examples=[0])
    closings: int = Field(description="How often that began.", examples=[0])
