"""A large system in an empty database, by a few statements straight into the tables; the API is not asked.

Partitions are shared out evenly to queues and messages to partitions. Half of the messages lie in an epoch that is
closed, so that reads find two children. Of each four partitions a group stands at the beginning in one, in the middle
in two and at the end in one; every hundredth partition has a live lease. Each partition has a dead letter and a trace,
the latter under one of a hundred names. At the end all is vacuumed and analyzed.
"""

from __future__ import annotations

from typing import LiteralString, NamedTuple

import psycopg

PARTITIONS_PER_STEP = 5_000


class Size(NamedTuple):
    """How much of each; messages in all."""

    queues: int
    partitions: int
    messages: int
    groups: int


_QUEUES: LiteralString = """
    insert into queues (queue_id, name, namespace, task, dedup_window_s)
    select n, 'bulk.' || n, 'namespace-' || n %% 50, 'task-' || n %% 20, 3600 from generate_series(1, %(queues)s) n"""
_PARTITIONS: LiteralString = """
    insert into partitions (partition_id, next_offset, epoch_first_offset, last_write_at, queue_id, epoch, name)
    select n, %(each)s, %(half)s, now(), (n - 1) %% %(queues)s + 1, 2, 'partition-' || n
      from generate_series(1, %(partitions)s) n"""
_MESSAGES: LiteralString = """
    insert into messages (partition_id, "offset", created_at, queue_id, epoch, once, transaction_id, payload)
    select p, o, now() - (%(each)s - o) * interval '1 second', (p - 1) %% %(queues)s + 1, %(epoch)s, true,
           p || '-' || o, '{"number":' || o || ',"text":"a message of about a hundred bytes, as a list would show it"}'
      from generate_series(%(first)s::bigint, %(last)s::bigint) p,
           generate_series(%(low)s::bigint, %(high)s::bigint) o"""
_SUBSCRIPTIONS: LiteralString = """
    insert into subscriptions (queue_id, consumer_group, mode, start_at)
    select q, 'group-' || g, 'all', '-infinity'
      from generate_series(1, %(queues)s) q, generate_series(0, %(groups)s - 1) g"""
_CURSORS: LiteralString = """
    insert into cursors (partition_id, consumer_group, acked, lease_end, lease_id, lease_until, epoch)
    select p, 'group-' || g, case p %% 4 when 0 then -1 when 1 then %(each)s - 1 else %(half)s end,
           case p %% 4 when 0 then -1 when 1 then %(each)s - 1 else %(half)s end,
           case when p %% 100 = 2 then gen_random_uuid() end, case when p %% 100 = 2 then now() + interval '1 day' end,
           case p %% 4 when 0 then 1 else 2 end
      from generate_series(1, %(partitions)s) p, generate_series(0, %(groups)s - 1) g"""
_COUNTERS: LiteralString = """
    update counters set next_id = 1 + case name when 'queue' then %(queues)s::bigint else %(partitions)s::bigint end
     where name in ('queue', 'partition', 'dead_letter')"""
_DEAD_LETTERS: LiteralString = """
    insert into dead_letters (dead_letter_id, queue_id, partition_id, "offset", consumer_group, transaction_id, payload,
                              error, retries, created_at, failed_at)
    select p, (p - 1) %% %(queues)s + 1, p, 0, 'group-0', p || '-0', '{"number":0,"text":"nobody could handle this"}',
           'ValueError: number is 0', 3, now() - interval '1 minute', now()
      from generate_series(1, %(partitions)s) p"""
_TRACES: LiteralString = """
    with made as (
        insert into traces (trace_id, partition_id, created_at, transaction_id, consumer_group, event_type, data, names)
        select new_trace_id(now() + p * interval '1 microsecond'), p, now(), p || '-0', 'group-0', 'info',
               '{"text":"began"}', array['trace-' || p %% 100]
          from generate_series(1, %(partitions)s) p
        returning *
    ), linked as (
        insert into trace_links (name, trace_id, partition_id, transaction_id)
        select m.names[1], m.trace_id, m.partition_id, m.transaction_id from made m
    )
    insert into trace_names (name, last_seen, traces, messages)
    select m.names[1], now(), count(*), count(*) from made m group by m.names[1]"""


def fill(connection: psycopg.Connection, size: Size, schema: LiteralString = "queen") -> None:
    """Fills the tables of a server that holds nothing yet. Raises psycopg.Error."""
    each = max(1, size.messages // size.partitions)
    half = each // 2
    values = {**size._asdict(), "each": each, "half": half}
    connection.execute("select set_config('search_path', %s, false)", (schema,))
    connection.execute(_QUEUES, values)
    connection.execute(_COUNTERS, values)
    connection.execute("select rotate(1, 10000)")
    connection.execute(_PARTITIONS, values)
    for epoch, low, high in ((1, 0, half - 1), (2, half, each - 1)):
        for first in range(1, size.partitions + 1, PARTITIONS_PER_STEP):
            last = min(first + PARTITIONS_PER_STEP - 1, size.partitions)
            connection.execute(
                _MESSAGES, {**values, "epoch": epoch, "first": first, "last": last, "low": low, "high": high}
            )
    connection.execute(_SUBSCRIPTIONS, values)
    connection.execute(_CURSORS, values)
    connection.execute(_DEAD_LETTERS, values)
    connection.execute(_TRACES, values)
    connection.execute("vacuum (analyze)")
