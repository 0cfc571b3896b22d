-- The tables of Queen. They are created in the schema that is first in search_path; nothing here names it.
--
-- Two kinds of table: `messages` only grows and is dropped by the child; `partitions` and `cursors` are small rows
-- that change all the time, so they carry no index on a changing column and leave room for HOT updates.

create table epochs (
    epoch       integer primary key,
    opened_at   timestamptz not null default clock_timestamp()
);
comment on table epochs is 'One row per child of messages. A push goes to the newest; whole epochs leave by DROP.';

-- Ids come from here and not from sequences or identity columns: a sequence is local to a node once a schema is placed
-- on a distributed engine. Taken in blocks, and only when a queue or partition is created.
create table counters (
    name        text primary key,
    next_id     bigint not null
);
insert into counters (name, next_id) values ('queue', 1), ('partition', 1), ('dead_letter', 1);

create table queues (
    queue_id        integer primary key,
    name            text collate "C" not null unique,
    namespace       text not null default '',
    task            text not null default '',
    options         jsonb not null default '{}',        -- only what was set; default_options() has the rest
    dedup_window_s  integer not null,                   -- the effective value, kept here because push reads it
    created_at      timestamptz not null default clock_timestamp()
);
create index idx_queues_namespace_task on queues (namespace, task);

create table partitions (
    partition_id        bigint primary key,
    next_offset         bigint not null default 0,      -- offset of the next message; bumped under the row lock
    first_offset        bigint not null default 0,      -- oldest offset kept
    epoch_first_offset  bigint not null default 0,      -- first offset that lies in `epoch`
    last_write_at       timestamptz not null default '-infinity',
    created_at          timestamptz not null default clock_timestamp(),
    queue_id            integer not null,
    epoch               integer not null,               -- epoch of the newest message
    name                text collate "C" not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create unique index idx_partitions_name on partitions (queue_id, name);
create index idx_partitions_queue on partitions (queue_id, partition_id);

create type message_status as enum ('pending', 'scheduled', 'dead_letter');

-- Append only. Fixed-width columns first, so that a row needs no padding between them.
-- `once` is true, or null when the queue does not deduplicate: nulls are distinct in a unique index.
create table messages (
    partition_id    bigint not null,
    "offset"        bigint not null,
    created_at      timestamptz not null,
    queue_id        integer not null,
    epoch           integer not null,
    status          message_status not null default 'pending',
    once            boolean,
    transaction_id  text collate "C" not null,
    payload         text not null,
    trace_id        uuid,
    producer_sub    text,
    scheduled_at    timestamptz,
    first_id        uuid,                               -- the id it was announced under, if its place came later
    primary key (partition_id, "offset", epoch)
) partition by list (epoch);
create unique index idx_messages_transaction on messages (transaction_id, partition_id, once, epoch);
create index idx_messages_queue_status on messages (queue_id, status);
create index idx_messages_scheduled on messages (scheduled_at) where scheduled_at is not null;

-- Progress of one group in one partition, and its lease. A live lease: lease_id is not null and lease_until is ahead.
-- A lease_until without a lease_id holds the partition back for the group (retryDelay).
create table cursors (
    partition_id    bigint not null,
    acked           bigint not null,                    -- everything up to here is done; -1 at the very start
    acked_was       bigint not null default -1,         -- `acked` before the latest ack, for that ack's answer
    lease_end       bigint not null default -1,         -- last offset handed out under the lease
    lease_until     timestamptz,
    lease_id        uuid,
    epoch           integer not null,                   -- where to look for acked + 1 when it is not in the newest epoch
    deliveries      integer not null default 0,         -- how often the span after `acked` was handed out
    retries         integer not null default 0,         -- charged by `failed` alone
    consumer_group  text collate "C" not null,
    primary key (partition_id, consumer_group)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Where a named group starts on partitions that it has not touched.
create table subscriptions (
    queue_id        integer not null,
    consumer_group  text collate "C" not null,
    mode            text not null check (mode in ('all', 'new', 'timestamp')),
    start_at        timestamptz not null,               -- messages stored before it are skipped; -infinity for all
    created_at      timestamptz not null default clock_timestamp(),
    primary key (queue_id, consumer_group)
);
create index idx_subscriptions_group on subscriptions (consumer_group);

-- Leases over several partitions only: the id of a lease on one partition names that partition.
create table leases (
    lease_id        uuid primary key,
    partition_ids   bigint[] not null,
    created_at      timestamptz not null
);

create table dead_letters (
    dead_letter_id  bigint primary key,
    queue_id        integer not null,
    partition_id    bigint not null,
    "offset"        bigint not null,
    consumer_group  text collate "C" not null,
    transaction_id  text collate "C" not null,
    payload         text not null,
    error           text not null,
    retries         integer not null,
    trace_id        uuid,
    producer_sub    text,
    created_at      timestamptz not null,               -- of the message
    failed_at       timestamptz not null
);
create index idx_dead_letters_queue on dead_letters (queue_id, dead_letter_id);
create index idx_dead_letters_partition on dead_letters (partition_id, "offset");
