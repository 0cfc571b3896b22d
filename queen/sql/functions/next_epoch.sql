-- next_epoch(partition_ids, groups) → void
-- Moves cursors that found nothing in the epoch they point at to the one that holds their next message. It looks that
-- up and does not count on: two servers that call it at the same time must skip nothing, and epochs in between may have
-- been dropped.
-- Tables written: cursors (by partition, group).
create or replace function next_epoch(p_partition_ids bigint[], p_groups text[]) returns void
language sql set search_path from current set enable_seqscan = off as $$
    update cursors c
       set epoch = coalesce(epoch_of(c.partition_id, c.acked + 1), p.epoch)
      from (select u.* from unnest(p_partition_ids, p_groups) u (partition_id, consumer_group) order by 1, 2) i,
           partitions p
     where c.partition_id = i.partition_id and c.consumer_group = i.consumer_group
       and p.partition_id = i.partition_id and c.epoch < p.epoch
$$;
