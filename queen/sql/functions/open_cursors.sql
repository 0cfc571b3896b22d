-- open_cursors(partition_ids, groups) → void
-- Gives each group its cursor on a partition that it meets for the first time, at the place that its subscription
-- says; a group without one (queue mode) starts at the oldest message. Existing cursors stay as they are.
-- Tables written, in lock order: cursors (by partition, group).
create or replace function open_cursors(p_partition_ids bigint[], p_groups text[]) returns void
language plpgsql set search_path from current as $$
begin
    insert into cursors (partition_id, consumer_group, acked, acked_was, lease_end, epoch)
    select s.partition_id, s.consumer_group, s.start - 1, s.start - 1, s.start - 1,
           case when s.start >= s.epoch_first_offset then s.epoch
                else coalesce(epoch_of(s.partition_id, s.start), s.epoch) end
      from (select p.partition_id, u.consumer_group, p.epoch, p.epoch_first_offset,
                   case when coalesce(b.start_at, '-infinity') = '-infinity' then p.first_offset
                        when p.last_write_at < b.start_at then p.next_offset
                        else offset_at(p.partition_id, b.start_at) end as start
              from unnest(p_partition_ids, p_groups) u (partition_id, consumer_group)
              join partitions p on p.partition_id = u.partition_id
              left join subscriptions b on b.queue_id = p.queue_id and b.consumer_group = u.consumer_group) s
     order by s.partition_id, s.consumer_group
    on conflict do nothing;
end
$$;
