"""Searches, dead letters and traces among many others touch pages in proportion to a page of the answer, by indexes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.sql.client import Session
from tests.store.plans import Hot, Watcher, grow

PARTITIONS = 2_000
PAGE = 201
TABLES = ("messages_1", "partitions", "cursors", "dead_letters", "traces", "trace_links", "trace_names")
_BROWSE = ("text", "timestamptz", "timestamptz", "integer")
_OLD = "2000-01-01"


def _fill(session: Session) -> None:
    grow(session, range(1, PARTITIONS + 1), queues=4)
    session.rows(
        'insert into {s}.dead_letters (dead_letter_id, queue_id, partition_id, "offset", consumer_group,'
        " transaction_id, payload, error, retries, created_at, failed_at)"
        " select n, n %% 4 + 1, n %% %s + 1, n / %s, 'g', 'd' || n, '0', 'e', 0, now(), now()"
        " from generate_series(1, 50000) n",
        PARTITIONS,
        PARTITIONS,
    )
    session.rows(
        "insert into {s}.traces (trace_id, partition_id, created_at, transaction_id, consumer_group, event_type, data,"
        " names) select {s}.new_trace_id(now() + n * interval '1 ms'), n % 2000 + 1, now(), 'm' || n % 5000, 'g',"
        " 'info', '0', array['n' || n % 7000] from generate_series(1, 50000) n"
    )
    session.rows(
        "insert into {s}.trace_links select unnest(names), trace_id, partition_id, transaction_id from {s}.traces"
    )
    session.rows("insert into {s}.trace_names select name, now(), count(*), 1 from {s}.trace_links group by 1")
    for table in TABLES:
        session.rows(f"vacuum analyze {{s}}.{table}")


_TAIL = ("text", "text", *_BROWSE, "integer", "integer")
_DEAD = ("integer[]", "bigint", "text", "text", "timestamptz", "timestamptz", "integer", "integer")
_RECORD = ("bigint", "text", "text", "text", "text", "text[]")


def _call(name: str, types: tuple[str, ...], *values: object) -> Callable[[Session, int], object]:
    return lambda session, seed: session.call(name, types, *values)


def _partitions(status: str | None, count: int) -> Callable[[Session, int], object]:
    ids = [1 + 7 * n for n in range(count)]
    return _call("browse_partitions", ("bigint[]", *_BROWSE), ids, status, _OLD, None, PAGE)


def _show(session: Session, seed: int) -> object:
    ids = [1 + n for n in range(200)]
    types = ("bigint[]", "bigint[]", "integer[]", "text", "integer", "integer", "bigint")
    return session.call("show_messages", types, ids, [50] * 200, [1] * 200, None, 0, 201, 1 << 25)


_WALK = ("text", "text", "text", "timestamptz", "timestamptz", "text", "bigint", "bigint", "integer", "bigint")
_LIMITS = (201, 5000)
CALLS = (
    Hot("browse 1 partition", _partitions(None, 1), 300, frozenset({"messages_1_pkey"})),
    Hot("browse 1 partition, pending", _partitions("pending", 1), 300, frozenset({"messages_1_pkey"})),
    Hot("browse 10 partitions", _partitions("completed", 10), 1500, frozenset({"messages_1_pkey"})),
    Hot(
        "browse a queue",
        _call("browse_queues", ("integer[]", *_BROWSE, "integer"), [2], "pending", _OLD, None, *_LIMITS),
        600,
        frozenset({"messages_1_queue_id_status_idx"}),
    ),
    Hot(
        "browse all",
        _call(
            "browse_tail",
            ("text", "text", *_BROWSE, "integer", "integer"),
            None,
            None,
            None,
            _OLD,
            None,
            201,
            5000,
            1024,
        ),
        100,
        frozenset(),
    ),
    Hot(
        "browse all, an hour that is over",
        _call(
            "browse_tail",
            ("text", "text", *_BROWSE, "integer", "integer"),
            None,
            None,
            None,
            _OLD,
            "2001-01-01",
            201,
            5000,
            64,
        ),
        300,
        frozenset(),
    ),
    Hot(
        "browse dead letters of a queue",
        _call(
            "browse_dead_letters",
            _DEAD,
            [2],
            None,
            None,
            None,
            _OLD,
            None,
            *_LIMITS,
        ),
        400,
        frozenset({"idx_dead_letters_queue"}),
    ),
    Hot(
        "browse all dead letters",
        _call(
            "browse_dead_letters",
            _DEAD,
            None,
            None,
            None,
            None,
            _OLD,
            None,
            *_LIMITS,
        ),
        100,
        frozenset({"dead_letters_pkey"}),
    ),
    Hot("show 200", _show, 8000, frozenset({"messages_1_pkey", "cursors_pkey", "idx_dead_letters_partition"})),
    Hot(
        "find a message",
        _call("find_message", ("bigint", "text"), 77, "00077-050"),
        60,
        frozenset({"messages_1_transaction_id_partition_id_once_epoch_idx"}),
    ),
    Hot(
        "walk dead letters",
        _call("walk_dead_letters", _WALK, "q2", None, None, None, None, None, 100, None, 100, 1 << 30),
        250,
        frozenset({"idx_dead_letters_queue"}),
    ),
    Hot(
        "list dead letters of a queue",
        _call(
            "find_dead_letters",
            ("text", "text", "text", "timestamptz", "timestamptz", "integer", "integer"),
            "q2",
            None,
            None,
            None,
            None,
            100,
            100,
        ),
        13_000,  # Up to 20,000 records are looked at, for the total.
        frozenset({"idx_dead_letters_queue"}),
    ),
    Hot("newest dead letter", _call("newest_dead_letter", ("text",), "q2"), 30, frozenset({"idx_dead_letters_queue"})),
    Hot(
        "dead letter of an address",
        _call("dead_letter_of", ("bigint", "text"), 78, "d77"),
        30,
        frozenset({"idx_dead_letters_transaction"}),
    ),
    Hot(
        "record a trace",
        _call(
            "record_trace",
            ("bigint", "text", "text", "text", "text", "text[]"),
            1,
            "m",
            "g",
            "info",
            "0",
            ["n1", "new"],
        ),
        200,
        frozenset({"trace_names_pkey", "idx_trace_links_message"}),
    ),
    Hot(
        "traces of a message",
        _call("message_traces", ("bigint", "text", "integer", "integer"), 78, "m77", 100, 0),
        60,
        frozenset({"idx_traces_message"}),
    ),
    Hot(
        "traces of a name",
        _call("named_traces", ("text", "integer", "integer"), "n77", 100, 0),
        200,
        frozenset({"trace_links_pkey", "traces_pkey"}),
    ),
    Hot("names", _call("find_trace_names", ("integer", "integer"), 50, 100), 300, frozenset({"trace_names_pkey"})),
    Hot(
        "forget nothing",
        _call("forget_traces", ("bigint", "integer"), 86_400_000, 1000),
        30,
        frozenset({"traces_pkey"}),
    ),
)


@pytest.fixture(scope="module")
def watcher(module_dsn: str) -> Iterator[Watcher]:
    with Session(module_dsn) as session:
        _fill(session)
    try:
        made = Watcher(module_dsn, "auto")
    except psycopg.Error as error:
        if "CI" in os.environ:
            pytest.fail(f"CI needs auto_explain, of postgresql-contrib: {error}")
        pytest.skip(f"needs auto_explain, which this PostgreSQL came without: {error}")
    yield made
    made.session.connection.close()


@pytest.mark.parametrize("hot", CALLS, ids=lambda hot: hot.name)
def test_a_call_touches_few_pages_and_no_whole_table(watcher: Watcher, hot: Hot) -> None:
    watcher.run(hot, 0)  # The catalog is read once.
    run = watcher.run(hot, 0)
    scanned = {
        str(node["Relation Name"])
        for node in run.nodes()
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in TABLES
    }
    assert scanned == set()
    assert run.indexes() >= hot.indexes
    assert run.pages <= hot.pages_max
