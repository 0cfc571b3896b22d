-- What rotation and retention need to know: the life of an epoch, what a closed child holds, and where to look.

alter table epochs
    add column closed_at    timestamptz,    -- when the next epoch was opened; no push that begins later writes here
    add column writers      text[],         -- transactions that were running after that, and may still write here
    add column recorded_at  timestamptz,    -- since then `spans` says what the child holds
    add column emptied_at   timestamptz;    -- since then the child holds nothing, and waits to be dropped
update epochs e
   set closed_at = n.ended_at
  from (select epoch, lead(opened_at) over (order by epoch) as ended_at from epochs) n
 where n.epoch = e.epoch;
comment on table epochs is
    'One row per child of messages. A push goes to the newest; a closed child is emptied as a whole, then dropped.';

-- A closed child does not change any more, so what it holds of each partition is written down once. Messages outside
-- the order (negative offsets) are not counted in.
create table spans (
    epoch           integer not null,
    partition_id    bigint not null,
    queue_id        integer not null,
    first_offset    bigint not null,
    last_offset     bigint not null,
    last_at         timestamptz not null,   -- created_at of the last one
    primary key (epoch, partition_id)
);
create index idx_spans_partition on spans (partition_id, epoch);

-- Nothing that is kept of the partition is older than this; -infinity: not looked at yet. With it, a look that would
-- find nothing to hide costs no read of a message. Only queues with a retention option keep it up to date.
alter table partitions add column first_at timestamptz not null default '-infinity';

-- Queues with a retention option are found without a look at the others.
create index idx_queues_retention on queues (queue_id) where options ?| array['retentionEnabled', 'maxWaitTimeSeconds'];
create index idx_queues_dedup_window on queues (dedup_window_s);
