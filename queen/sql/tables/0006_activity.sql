-- What servers did, by the minute, for those who look on: written by each server once a minute while something happens.

-- One row per queue, minute and server; queue_id 0 has the sums over all queues, so that a look at everything reads
-- minutes and not queues. `bucket` is the beginning of the minute. Rows older than a day go into `activity_hours`.
create table activity (
    bucket          timestamptz not null,
    instance_id     uuid not null,
    lag_ms_sum      double precision not null,
    lag_ms_max      double precision not null,  -- from the storing of a message to its delivery
    queue_id        integer not null,
    push_requests   integer not null,
    push_messages   integer not null,
    pop_requests    integer not null,
    pop_messages    integer not null,
    pop_empty       integer not null,
    ack_requests    integer not null,
    ack_success     integer not null,
    ack_failed      integer not null,
    ack_rejected    integer not null,
    transactions    integer not null,
    dead_letters    integer not null,
    lag_count       integer not null,           -- deliveries that lag_ms_sum adds up: one a partition and pop
    parked          integer not null,           -- polls that waited when the minute ended
    messages_hidden integer not null,           -- by retention; this and the next one of queue_id 0 alone
    epochs_dropped  integer not null,
    primary key (queue_id, bucket, instance_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
create index idx_activity_bucket on activity (bucket);

-- The same by the hour, all servers together.
create table activity_hours (
    bucket          timestamptz not null,
    lag_ms_sum      double precision not null,
    lag_ms_max      double precision not null,
    push_requests   bigint not null,
    push_messages   bigint not null,
    pop_requests    bigint not null,
    pop_messages    bigint not null,
    pop_empty       bigint not null,
    ack_requests    bigint not null,
    ack_success     bigint not null,
    ack_failed      bigint not null,
    ack_rejected    bigint not null,
    transactions    bigint not null,
    dead_letters    bigint not null,
    lag_count       bigint not null,
    parked          bigint not null,            -- the sum over the minutes
    messages_hidden bigint not null,
    epochs_dropped  bigint not null,
    queue_id        integer not null,
    primary key (queue_id, bucket)
);
create index idx_activity_hours_bucket on activity_hours (bucket);

-- How each server was in a minute: processor, memory, connections, requests. Kept for a day, not longer.
create table instance_activity (
    bucket          timestamptz not null,
    instance_id     uuid not null,
    port            integer not null,
    worker          integer not null,           -- 0: the only process of its server
    hostname        text not null,
    metrics         jsonb not null,             -- part → name → {avg, min, max, last}
    primary key (bucket, instance_id)
);
