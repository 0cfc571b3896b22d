-- What handlers noted about messages, by message and by name; and a way to the dead letters of a message.

-- Ids are UUIDs of version 7, made by the database's clock: the order of the primary key is that of time, and traces
-- leave by age at its beginning. A trace may outlive its message, its partition and its queue.
create table traces (
    trace_id        uuid primary key,
    partition_id    bigint not null,
    created_at      timestamptz not null,
    transaction_id  text collate "C" not null,
    consumer_group  text collate "C" not null,
    event_type      text not null,
    data            text not null,                      -- JSON, the bytes that came
    names           text[] collate "C" not null
);
create index idx_traces_message on traces (transaction_id, partition_id, trace_id);

-- One row per trace and name.
create table trace_links (
    name            text collate "C" not null,
    trace_id        uuid not null,
    partition_id    bigint not null,
    transaction_id  text collate "C" not null,
    primary key (name, trace_id)
);
create index idx_trace_links_message on trace_links (name, transaction_id, partition_id);

-- Counts of each name, kept with every trace, so that the list of names is a range of this table. No index on a
-- changing column.
create table trace_names (
    name            text collate "C" primary key,
    last_seen       timestamptz not null,
    traces          bigint not null,
    messages        bigint not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index idx_dead_letters_transaction on dead_letters (transaction_id, partition_id, dead_letter_id);
