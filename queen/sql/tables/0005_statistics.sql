-- Numbers of queues and groups, kept beside the data, so that a list of ten thousand queues reads ten thousand rows and
-- not a hundred thousand partitions. The leader walks over all partitions in the background and writes them anew; a
-- system that is small enough is counted while it is asked. All columns but `computed_at` are those of that moment.

create table queue_stats (
    queue_id            integer primary key,
    computed_at         timestamptz not null,
    partitions          bigint not null,
    total               bigint not null,        -- messages kept
    pending             bigint not null,        -- against the slowest group of each partition
    processing          bigint not null,        -- under a live lease
    partitions_pending  bigint not null,
    partitions_ready    bigint not null,        -- with more pending than processing
    dead_letters        bigint not null,
    retained_bytes      bigint not null,        -- an estimate, see message_bytes()
    oldest_pending_at   timestamptz             -- when the oldest pending message was stored, nearly: see count_groups()
) with (fillfactor = 50);

create table group_stats (
    queue_id            integer not null,
    consumer_group      text collate "C" not null,
    computed_at         timestamptz not null,
    members             bigint not null,        -- cursors; partitions that the group has not touched are in none of these
    partitions_with_lag bigint not null,
    partitions_ready    bigint not null,        -- with more behind the cursor than under a live lease
    total_lag           bigint not null,        -- messages behind
    processing          bigint not null,
    consumed            boolean not null,       -- it has acked something, as far as was seen
    oldest_pending_at   timestamptz,
    primary key (queue_id, consumer_group)
) with (fillfactor = 50);
create index idx_group_stats_group on group_stats (consumer_group, queue_id);
