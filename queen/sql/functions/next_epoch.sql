-- next_epoch(partition_ids, groups) → void
-- Moves cursors that found nothing in the epoch they point at to the next one that exists, up to the partition's own.
-- A cold reader walks the children with it, one at a time.
-- Tables written: cursors (by partition, group).
create or replace function next_epoch(p_partition_ids bigint[], p_groups text[]) returns void
language sql set search_path from current as $$
    update cursors c
       set epoch = least(p.epoch, (select min(e.epoch) from epochs e where e.epoch > c.epoch))
      from (select u.* from unnest(p_partition_ids, p_groups) u (partition_id, consumer_group) order by 1, 2) i,
           partitions p
     where c.partition_id = i.partition_id and c.consumer_group = i.consumer_group
       and p.partition_id = i.partition_id and c.epoch < p.epoch
$$;
