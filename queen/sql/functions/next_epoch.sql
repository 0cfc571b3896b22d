-- next_epoch(partition_ids, groups) → void
-- Moves cursors that found nothing in the epoch they point at to the one that holds their next message. It looks that
-- up, through the parent, and does not count on: two servers that call it at the same time must skip nothing.
-- Tables written: cursors (by partition, group).
create or replace function next_epoch(p_partition_ids bigint[], p_groups text[]) returns void
language sql set search_path from current set enable_seqscan = off as $$
    update cursors c
       set epoch = coalesce((select m.epoch from messages m
                              where m.partition_id = c.partition_id and m."offset" > c.acked
                              order by m.partition_id, m."offset" limit 1), p.epoch)
      from (select u.* from unnest(p_partition_ids, p_groups) u (partition_id, consumer_group) order by 1, 2) i,
           partitions p
     where c.partition_id = i.partition_id and c.consumer_group = i.consumer_group
       and p.partition_id = i.partition_id and c.epoch < p.epoch
$$;
