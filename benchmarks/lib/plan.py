"""What the measuring process and the load generator say to each other: one plan in, a line of events out.

Plain values only, as JSON. The plan goes to the generator's standard input; every event is one line on its
standard output. The generator keeps the time, the other side reads its meters at each `Edge`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

StepKind = Literal["prime", "push", "drain", "life", "paced"]
Verb = Literal["push", "pop", "ack"]
VERBS: tuple[Verb, ...] = ("push", "pop", "ack")


class Step(msgspec.Struct, frozen=True):
    """One piece of load. A measured step has a warm-up and then a window with an edge on each side."""

    kind: StepKind
    repeat: int
    measured: bool
    warmup_s: float
    window_s: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the generator needs; the same plan makes the same requests.

    `consumers` of the connections pop, in stage life; 0 means one half. `pop_batch` and `pop_spread` are the most
    messages and partitions of one pop; 0 means as many as one push has. `pushes_per_s` is the pace of stage paced;
    with `consume_later` its consumers begin when the window is over.
    """

    host: str
    port: int
    run_id: str
    queue: str
    group: str
    size: int
    spread: int
    partitions: int
    connections: int
    payload_bytes: int
    backlog_max: int
    messages_max: int
    stall_s: float
    seed: int
    steps: list[Step]
    consumers: int = 0
    pop_batch: int = 0
    pop_spread: int = 0
    pushes_per_s: float = 0.0
    consume_later: bool = False


class Counters(msgspec.Struct, frozen=True):
    """Totals of the generator since its start. `pushed` counts messages answered `queued`, `acked` those
    answered `success`; `cpu_s` is the generator's own processor time."""

    at_s: float
    cpu_s: float
    pushed: int
    popped: int
    acked: int
    pushes: int
    pops: int
    acks: int
    pops_empty: int


class Edge(msgspec.Struct, frozen=True, tag="edge"):
    step: Step
    side: Literal["start", "end"]
    counters: Counters


class Latency(msgspec.Struct, frozen=True):
    """Times in milliseconds. For `push`, `pop` and `ack` from request written to answer read, without any waiting
    before the send. A paced step also has `intended`, from the moment at which a push was due to its answer; `lag`,
    from that moment to its sending; and `end_to_end`, from that moment to a consumer having the message."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Pace(msgspec.Struct, frozen=True):
    """How a paced window kept its time. `due` pushes fell into it and `answered` were answered in it; `late` were
    sent more than LATE_MS after they were due, and for `behind_s` some push was that late. `drained_s` is what it
    took after the last push until everything was acked."""

    due: int
    answered: int
    late: int
    behind_s: float
    drained_s: float


class StepDone(msgspec.Struct, frozen=True, tag="step"):
    step: Step
    latency: dict[str, Latency]
    pace: Pace | None = None


class Verdict(msgspec.Struct, frozen=True, tag="verdict"):
    """What the ledger found over the whole life of the generator.

    `complete` is false when the run broke off: then messages under way are not called lost. `order_judged` is
    false when there are too few partitions for each push to have its own: then pushes may overtake each other.
    """

    complete: bool
    pushed: int
    popped: int
    acked: int
    lost: int
    unacked: int
    duplicated: int
    reordered: int
    ghost: int
    corrupt: int
    refused: int
    order_judged: bool
    examples: list[str]

    @property
    def wrong(self) -> bool:
        parts = (self.lost, self.unacked, self.duplicated, self.reordered, self.ghost, self.corrupt, self.refused)
        return any(parts) or (self.complete and not self.pushed == self.popped == self.acked)


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The generator gave up; a verdict on what was seen until then follows."""

    kind: Literal["unreachable", "unexpected", "stalled"]
    message: str


Event = Edge | StepDone | Verdict | Failed
EVENTS = msgspec.json.Decoder(Event)


def steps_for(stages: list[str], repeat: int, warmup_s: float, window_s: float) -> list[Step]:
    """The order of one run: A B C A B C, so that drift of the machine meets every stage alike.

    A push is always followed by a drain: it empties the queue, and only an emptied queue can be checked.
    """
    steps = [Step("prime", 0, False, 0.0, 0.0)]
    for number in range(repeat):
        if "push" in stages or "drain" in stages:
            steps.append(Step("push", number, "push" in stages, warmup_s, window_s))
            steps.append(Step("drain", number, "drain" in stages, warmup_s / 2, window_s))
        if "life" in stages:
            steps.append(Step("life", number, True, warmup_s, window_s))
    return steps
