"""Answers with numbers of queues, partitions and the whole system."""

from __future__ import annotations

from pydantic import Field

from queen.server.describe import Shape

_AGE = "Seconds since the oldest of these numbers was computed: 0 when they were counted now, -1 when never."
_ID = "6f0d6a1e-0000-8000-8000-00000000001a"
_TIME = "2026-03-01T07:00:00.000000Z"


class Counts(Shape):
    """Messages of a queue."""

    total: int = Field(description="Messages kept.", examples=[512])
    pending: int = Field(description="Not done yet by the slowest group.", examples=[40])
    processing: int = Field(description="Of these, what the slowest group has under a live lease.", examples=[8])


class Totals(Counts):
    """Messages of a queue or partition."""

    completed: int = Field(description="Kept, and done by every group.", examples=[472])
    failed: None = Field(description="Not measured.")
    deadLetter: int = Field(description="Dead letters.", examples=[0])


class StatusCounts(Counts):
    """Messages of a queue or partition."""

    completed: int = Field(description="Kept, and done by every group.", examples=[472])
    deadLetter: int = Field(description="Dead letters.", examples=[0])


class QueueHead(Shape):
    """What a queue is."""

    id: str = Field(description="Id of the queue.", examples=[_ID])
    name: str = Field(description="Name of the queue.", examples=["parcels.scanned"])
    namespace: str = Field(description="Its namespace.", examples=["parcels"])
    task: str = Field(description="Its task.", examples=["scanned"])
    createdAt: str | None = Field(description="When it was created.", examples=[_TIME])


class Segments(Shape):
    """For clients that look for it."""

    segments: int = Field(description="Always 0: messages are not stored in segments.")
    messages: int = Field(description="Messages kept.")


class QueueSummary(QueueHead):
    """A queue in a list."""

    partitions: int = Field(description="Number of its partitions.", examples=[3])
    retainedBytes: int = Field(description="Disk space of its messages, an estimate.", examples=[48211])
    segments: Segments = Field(description="For clients that look for it.")
    messages: Counts = Field(description="Its messages.")


class QueueList(Shape):
    """Queues with their totals."""

    queues: list[QueueSummary] = Field(description="By name.")
    statsAge: float = Field(description=_AGE)


class PartitionDetail(Shape):
    """A partition of a queue; its numbers are counted now."""

    id: str = Field(description="Id of the partition.", examples=[_ID])
    name: str = Field(description="Name of the partition.", examples=["depot-7"])
    createdAt: str = Field(description="When it was created.", examples=[_TIME])
    stats: Totals = Field(description="Its messages.")
    oldestMessage: str | None = Field(description="When the oldest message kept was stored.", examples=[_TIME])
    newestMessage: str | None = Field(description="When the newest message was stored.", examples=[_TIME])


class QueueDetail(QueueHead):
    """A queue with its options and partitions."""

    options: dict[str, bool | int | str] = Field(description="All options with their effective values.")
    partitions: list[PartitionDetail] = Field(description="One page of its partitions, by name.")
    totals: Totals = Field(description="All its messages.")
    retainedBytes: int = Field(description="Disk space of its messages, an estimate.", examples=[48211])
    statsAge: float = Field(description=f"Of the totals. {_AGE}")


class PartitionDepth(Shape):
    """What is before a group on one partition."""

    partition: str = Field(description="Name of the partition.", examples=["depot-7"])
    pending: int = Field(description="Messages not done yet.", examples=[40])
    processing: int = Field(description="Of these, under a live lease of the group.", examples=[8])
    ready: int = Field(description="The others.", examples=[32])


class QueueDepth(Shape):
    """What is before a group in a queue."""

    queue: str = Field(description="Name of the queue.", examples=["parcels.scanned"])
    group: str | None = Field(description="The group asked for; null: the slowest of each partition.")
    pending: int = Field(description="Messages not done yet.", examples=[40])
    processing: int = Field(description="Of these, under a live lease of the group.", examples=[8])
    ready: int = Field(description="The others.", examples=[32])
    partitionsPending: int = Field(description="Partitions with pending messages.", examples=[2])
    partitionsReady: int = Field(description="Partitions with ready messages.", examples=[1])
    conflation: bool = Field(description="Always false.")
    effectivePending: int = Field(description="The same as pending.")
    effectiveReady: int = Field(description="The same as ready.")
    partitions: list[PartitionDepth] = Field(description="One page of the partitions, by name; counted now.")
    statsAge: float = Field(description=f"Of the sums. {_AGE}")


class Spread(Shape):
    """Of all groups of all queues."""

    avg: float = Field(description="The average.")
    median: float = Field(description="As many are above as below.")
    min: float = Field(description="The least.")
    max: float = Field(description="The most.")


class Lag(Shape):
    """How far groups are behind."""

    time: Spread = Field(description="Seconds since the oldest message behind was stored.")
    offset: Spread = Field(description="Messages behind.")


class Throughput(Shape):
    """Rates over five minutes."""

    ingestedPerSecond: float = Field(description="Messages pushed a second.")
    processedPerSecond: float = Field(description="Messages done a second.")


class Overview(Shape):
    """The whole system."""

    queues: int = Field(description="Number of queues.", examples=[12])
    partitions: int = Field(description="Number of partitions.", examples=[80])
    namespaces: int = Field(description="Number of namespaces.", examples=[3])
    tasks: int = Field(description="Number of tasks.", examples=[5])
    messages: Totals = Field(description="All messages.")
    lag: Lag = Field(description="How far groups are behind.")
    throughput: Throughput = Field(description="Rates over five minutes.")
    timestamp: str = Field(description="Now.", examples=[_TIME])
    statsAge: float = Field(description=_AGE)


class TotalPending(Shape):
    """Messages of several queues."""

    total: int = Field(description="Messages kept.", examples=[512])
    pending: int = Field(description="Not done yet by the slowest group.", examples=[40])


class Namespace(Shape):
    """Queues of one namespace."""

    namespace: str = Field(description="Its name; empty: the queues without one.", examples=["parcels"])
    queues: int = Field(description="Number of its queues.", examples=[2])
    partitions: int = Field(description="Number of their partitions.", examples=[12])
    messages: TotalPending = Field(description="Their messages.")


class Namespaces(Shape):
    """All namespaces."""

    namespaces: list[Namespace] = Field(description="By name.")


class Task(Shape):
    """Queues of one task."""

    task: str = Field(description="Its name; empty: the queues without one.", examples=["scanned"])
    queues: int = Field(description="Number of its queues.", examples=[2])
    partitions: int = Field(description="Number of their partitions.", examples=[12])
    messages: TotalPending = Field(description="Their messages.")


class Tasks(Shape):
    """All tasks."""

    tasks: list[Task] = Field(description="By name.")


class Pagination(Shape):
    """The page that was asked for."""

    limit: int = Field(description="Most entries of the page.", examples=[100])
    offset: int = Field(description="Entries skipped.", examples=[0])


class PartitionSummary(Shape):
    """A partition in a list."""

    id: str = Field(description="Id of the partition.", examples=[_ID])
    name: str = Field(description="Name of the partition.", examples=["depot-7"])
    queue: str = Field(description="Name of its queue.", examples=["parcels.scanned"])
    createdAt: str = Field(description="When it was created.", examples=[_TIME])
    messages: Counts = Field(description="Its messages, counted now.")


class Partitions(Shape):
    """A page of partitions."""

    partitions: list[PartitionSummary] = Field(description="Of one queue by name, of all by age.")
    pagination: Pagination = Field(description="The page.")


class StatusQueue(QueueHead):
    """A queue in the list of states."""

    partitions: int = Field(description="Number of its partitions.", examples=[3])
    messages: StatusCounts = Field(description="Its messages.")


class StatusQueues(Shape):
    """A page of queues."""

    queues: list[StatusQueue] = Field(description="By name.")
    pagination: Pagination = Field(description="The page.")
    statsAge: float = Field(description=_AGE)


class QueueConfig(Shape):
    """The main options."""

    leaseTime: int = Field(description="Seconds.", examples=[300])
    retryLimit: int = Field(description="Retries before a message is set aside.", examples=[3])
    retryDelay: int = Field(description="Milliseconds.", examples=[1000])
    ttl: int = Field(description="Shown only.", examples=[3600])
    maxSize: int = Field(description="Most undelivered messages; 0: no bound.", examples=[0])
    priority: int = Field(description="Priority.", examples=[0])


class StatusHead(QueueHead):
    """A queue with its main options."""

    config: QueueConfig = Field(description="The main options.")


class Progress(Shape):
    """How far the slowest group came."""

    totalConsumed: int = Field(description="Messages it has passed since the partition began.", examples=[152])
    batchesConsumed: None = Field(description="Not measured.")


class StatusPartition(Shape):
    """The state of a partition; counted now."""

    id: str = Field(description="Id of the partition.", examples=[_ID])
    name: str = Field(description="Name of the partition.", examples=["depot-7"])
    messages: StatusCounts = Field(description="Its messages.")
    cursor: Progress = Field(description="How far the slowest group came.")
    lastActivity: str | None = Field(description="When something was pushed last.", examples=[_TIME])
    oldestMessage: str | None = Field(description="When the oldest message kept was stored.", examples=[_TIME])
    newestMessage: str | None = Field(description="When the newest message was stored.", examples=[_TIME])


class QueueStatus(Shape):
    """The state of one queue."""

    queue: StatusHead = Field(description="The queue.")
    partitions: list[StatusPartition] = Field(description="One page of its partitions, by name.")
    totals: StatusCounts = Field(description="All its messages.")
    statsAge: float = Field(description=f"Of the totals. {_AGE}")


class Buffers(Shape):
    """What waits outside the database."""

    pending: int = Field(description="Messages that wait to be stored.")
    failed: int = Field(description="Messages that could not be stored.")
    dbHealthy: bool = Field(description="Does the database answer?")
    worker: int = Field(description="Always 0.")


class StatsRefreshed(Shape):
    """The numbers were computed anew."""

    success: bool = Field(description="Always true.")
    queues: int = Field(description="Queues counted.", examples=[12])
    partitions: int = Field(description="Partitions counted.", examples=[80])
    durationMs: int = Field(description="Time it took.", examples=[35])
