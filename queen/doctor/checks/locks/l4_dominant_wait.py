"""L4: sessions at work spend much of their time in one kind of wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from queen.doctor import stake
from queen.doctor.check import Check, Seen
from queen.doctor.finding import Finding, Threshold
from queen.doctor.needs import Ground, Missing, monitor
from queen.doctor.probes.waits import Waits
from queen.errors import CannotLook

_OBSERVED_MIN: Final = 10  # fewer observations of a wait are no share


@dataclass(frozen=True, slots=True)
class Family:
    """Waits that mean the same. `removable`: the part of them that the first move can take away, at most. `limit`: the
    threshold for how many sessions stand in it on average."""

    name: str
    waits: tuple[str, ...]
    meaning: str
    first_move: str
    removable: float = 1.0
    limit: str = "sessions"


# In small letters: PostgreSQL 17 writes WalSync where 16 wrote WALSync.
FAMILIES: Final = (
    Family(
        "commit",
        ("lwlock:walwrite", "io:walsync", "io:walwrite", "io:walsyncmethodassign", "ipc:commitdelay"),
        "Commits wait for the disk of the log, and for each other.",
        "More messages a commit: larger batches and a longer linger. W5 says how fast the disk is.",
        removable=0.5,
        limit="commits",
    ),
    Family(
        "standby",
        ("ipc:syncrep",),
        "Commits wait for the synchronous standby.",
        "Look at the standby and the way to it (W9), or more messages a commit.",
    ),
    Family(
        "log volume",
        ("lwlock:walinsert", "lwlock:walbufmapping", "lwlock:walbufmappinglock"),
        "Sessions queue up to write into the log's buffers.",
        "Fewer indexes (I2, I3, I4) and larger wal_buffers (W4).",
    ),
    Family(
        "same row",
        ("lock:transactionid", "lock:tuple"),
        "Several sessions want the same row.",
        "L1 names who holds it. More partitions; no transaction of yours around rows of Queen's.",
    ),
    Family(
        "table lock",
        ("lock:relation",),
        "Sessions wait for a lock on a table.",
        "L1 names who holds it: a change of the schema, or somebody in line for one.",
    ),
    Family(
        "notify",
        ("lock:object", "lwlock:notifyqueue", "lwlock:notifybuffer", "lwlock:notifyslru"),
        "Commits with notifications go one by one.",
        "See L3.",
    ),
    Family(
        "hot page",
        ("lwlock:buffercontent", "bufferpin:bufferpin"),
        "Many sessions want the same page of a table or an index.",
        "Spread the keys over more partitions; leave small rows their room (fillfactor 50).",
    ),
    Family(
        "lock table",
        ("lwlock:lockmanager", "lwlock:lockfastpath"),
        "Statements lock more relations than fit a session's own slots (16 before PostgreSQL 18).",
        "Fewer children of messages: shorter retention, or longer epochs; fewer indexes.",
    ),
    Family(
        "subtransactions",
        (
            "lwlock:subtransslru",
            "lwlock:subtransbuffer",
            "lwlock:multixactgen",
            "lwlock:multixactoffsetslru",
            "lwlock:multixactoffsetbuffer",
            "lwlock:multixactmemberslru",
            "lwlock:multixactmemberbuffer",
        ),
        "Savepoints, or locks of foreign keys.",
        "No savepoint per row, no foreign key on messages (I8).",
    ),
    Family(
        "snapshots",
        ("lwlock:procarray",),
        "Very many sessions make snapshots dear.",
        "Smaller pools, or a pooler in front.",
    ),
    Family(
        "growing tables",
        ("lock:extend", "io:datafileextend"),
        "Sessions take turns to make a table larger.",
        "Larger batches; PostgreSQL 16 and later do this in larger steps.",
    ),
    Family(
        "cold data",
        ("io:datafileread", "aio:aioiocompletion"),
        "Rows are read from the disk and not from memory.",
        "A backlog that is deeper than the cache: more consumers, or more shared_buffers (M1, M3).",
    ),
    Family(
        "client",
        ("client:clientread", "client:clientwrite"),
        "PostgreSQL waits for the program: it is slow between two statements, or slow to take the answer.",
        "Look at the servers' CPU and at their event-loop lag in /metrics.",
    ),
)
_FAMILY_OF: Final[Mapping[str, Family]] = {wait: family for family in FAMILIES for wait in family.waits}
_NO_WAIT: Final = ("cpu", "activity", "timeout", "extension")  # at work, or asleep because the statement says so


def evaluate(seen: Seen) -> Iterable[Finding]:
    """One finding for each kind of wait that takes a large share of the time and holds up a session all the time."""
    if not seen.waits.samples:
        raise CannotLook("the sessions could not be sampled", kind="timeout")
    for family, count in _counts(seen.waits).items():
        share = count / seen.waits.active
        severity = seen.limits["limit"].judge(share)
        standing = share * seen.waits.busy
        if severity is None or count < _OBSERVED_MIN or seen.limits[family.limit].judge(standing) is None:
            continue
        yield Finding(
            severity,
            f"{100 * share:.0f} % of the time at work is one kind of wait: {family.name} ({standing:.1f} sessions)",
            {
                "share": round(share, 3),
                "sessions": round(standing, 2),
                "samples": seen.waits.samples,
                "waits": _largest(seen.waits),
            },
            f"{family.meaning} {family.first_move}",
            object=family.name,
            threshold=seen.limits["limit"],
            at_stake=stake.wait_share(share, family.removable),
        )


def _counts(waits: Waits) -> dict[Family, int]:
    """How often each kind was seen, the largest first."""
    counts: dict[Family, int] = {}
    for wait, number in waits.by_wait.items():
        small = wait.lower()
        if small.partition(":")[0] not in _NO_WAIT:
            family = _FAMILY_OF.get(small) or _unknown(wait)
            counts[family] = counts.get(family, 0) + number
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _unknown(wait: str) -> Family:
    return Family(
        wait,
        (wait.lower(),),
        f"Sessions wait for {wait}.",
        "PostgreSQL's documentation lists wait events in the chapter on monitoring.",
    )


def _largest(waits: Waits) -> dict[str, float]:
    """The shares of the most frequent waits, and of no wait."""
    ranked = sorted(waits.by_wait.items(), key=lambda item: -item[1])[:6]
    return {wait: round(number / waits.active, 3) for wait, number in ranked}


def _servers_sessions(ground: Ground) -> Missing | None:
    """The sessions of Queen's servers, which run as the owner of the schema as a rule."""
    facts = ground.facts
    return None if facts.schema_owner == facts.role else monitor(ground)


CHECK = Check(
    id="L4",
    group="locks",
    title="One kind of wait dominates",
    why="Time that sessions spend in a wait is time in which the same connections carry no messages.",
    false_positive="A restore, or an index being built, inside the window.",
    explain="""\
Ten times a second the sessions that are at work are looked at, and what each waits for. Waits that mean the same count
as one kind. A kind is named from 15 % of all observations on, when it also keeps one session or more waiting all the
time: below that the server has room to spare, and the share says only what the little work consists of.

A queue waits for its commits: on a server that has nothing else to do most of the time at work is the disk of the log.
So that kind is named only when two sessions or more stand in it all the time, which means that commits queue up.

At stake is a bound: if the wait went away altogether, this much more at most. For commits it is half of the wait, since
larger batches make fewer commits but not none. Time on the CPU is no wait; S1 looks at statements.""",
    evaluate=evaluate,
    thresholds={
        "limit": Threshold(0.15, 0.35, "of active samples"),
        "sessions": Threshold(1.0, None, "sessions on average"),
        "commits": Threshold(2.0, None, "sessions on average"),
    },
    needs=(_servers_sessions,),
    delta=True,
)
