-- examine(partition_ids, groups) → one row per pair, in input order: what stands at its cursor
-- For the rare entry that pop(), ack() or ack_failed() left without a row. Columns:
--   found       false: the partition is gone
--   acked       null: the group has no cursor here
--   head        offset after the newest message
--   epoch       the epoch in which acked + 1 lies, or is to be looked for
--   lease_id, lease_end, held_ms   the live lease and how long it (or a retry delay) still holds; null when free
--   newest      the epoch of the partition's newest message: above `epoch`, next_epoch() may have somewhere to go
create or replace function examine(p_partition_ids bigint[], p_groups text[])
returns table (found boolean, acked bigint, head bigint, epoch integer, lease_id uuid, lease_end bigint, held_ms bigint,
               newest integer)
language plpgsql stable set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query
    select p.partition_id is not null, c.acked, p.next_offset,
           case when c.acked + 1 >= p.epoch_first_offset then p.epoch else c.epoch end,
           case when c.lease_until > now() then c.lease_id end, c.lease_end,
           case when c.lease_until > now()
                then ceil(extract(epoch from c.lease_until - now()) * 1000)::bigint end,
           p.epoch
      from unnest(p_partition_ids, p_groups) with ordinality u (partition_id, consumer_group, n)
      left join partitions p on p.partition_id = u.partition_id
      left join cursors c on c.partition_id = u.partition_id and c.consumer_group = u.consumer_group
     order by u.n;
end
$$;
