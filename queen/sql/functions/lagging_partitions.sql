-- lagging_partitions(min_lag_s, limit, offset, look, live_max) → the partitions whose first unconsumed message is so old
-- One page, by queue, group and partition. It looks at up to `look` partitions of groups that lag, behind the first
-- `offset` ones, and gives up to `limit`. The last row is no partition: its `next` is the offset to go on at, or null at
-- the end. Where there is little (see countable) all groups with something behind their cursors are looked at. Else those
-- are, of which what is kept tells of a message that old (`kept`): it is a little late, and may miss an old message of a
-- partition that neither lags most nor was written to longest ago.
-- The page is a range of (queue, partition) without a sort, as in ready_partitions().
create or replace function lagging_partitions(
    p_min_lag_s bigint, p_limit integer, p_offset integer, p_look integer, p_live_max integer
) returns table (next bigint, consumer_group text, queue text, partition text, partition_id bigint, lease_id uuid,
                 lag bigint, oldest_at timestamptz, lag_s bigint,
                 kept boolean)
language plpgsql stable set search_path from current set enable_seqscan = off
    set enable_sort = off set enable_incremental_sort = off set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
    v_all       bigint[] := countable(null, p_live_max);
    v_before    timestamptz := now() - p_min_lag_s * interval '1 second';
    v_queues    integer[];
    v_groups    text[];
    v_ids       bigint[];       -- of each partition looked at
    v_names     text[];
    v_leases    uuid[];
    v_heads     bigint[];
    v_places    bigint[];       -- the first offset that is not consumed; null where none can be that old
begin
    -- Each of them has a partition, so of those that are kept no more are needed than partitions.
    select array_agg(g.queue_id order by g.queue_id, g.consumer_group),
           array_agg(g.consumer_group order by g.queue_id, g.consumer_group) into v_queues, v_groups
      from (select c.queue_id, c.consumer_group from count_groups(v_all) c
             where c.consumer_group is not null and c.partitions_with_lag > 0
             union all
           (select k.queue_id, k.consumer_group from group_stats k
             where v_all is null and k.oldest_pending_at <= v_before
             order by k.queue_id, k.consumer_group limit p_offset + p_look + 1)) g;
    -- One more than is looked at, which tells whether there is more.
    select array_agg(w.queue_id), array_agg(w.consumer_group), array_agg(w.partition_id), array_agg(w.name),
           array_agg(w.lease_id), array_agg(w.next_offset),
           array_agg(case when w.acked is not null and w.created_at <= v_before
                          then greatest(w.acked + 1, w.first_offset) end)
      into v_queues, v_groups, v_ids, v_names, v_leases, v_heads, v_places
      from (select p.*, c.acked, c.lease_id
              from (select g.consumer_group, r.*
                      from unnest(v_queues, v_groups) g (queue_id, consumer_group)
                     cross join lateral (
                            select t.queue_id, t.partition_id, t.name, t.created_at, t.first_offset, t.next_offset
                              from partitions t
                             where (t.queue_id, t.partition_id) > (g.queue_id, 0) and t.queue_id <= g.queue_id
                             order by t.queue_id, t.partition_id limit p_offset + p_look + 1) r
                     limit p_look + 1 offset p_offset) p
              left join lateral (
                    select t.acked, case when t.lease_until > now() then t.lease_id end as lease_id from cursors t
                     where t.partition_id = p.partition_id and t.consumer_group = p.consumer_group limit 1) c on true) w;
    return query
    with lagging as materialized (
        select u.*, row_number() over () as k
          from unnest(v_queues, v_groups, v_ids, v_names, v_leases, v_heads, v_places, stored_at_each(v_ids, v_places))
               with ordinality u (queue_id, consumer_group, partition_id, name, lease_id, head, place, stored_at, n)
         where u.stored_at <= v_before and u.n <= p_look
         limit p_limit + 1
    )
    select null, l.consumer_group, (select q.name from queues q where q.queue_id = l.queue_id), l.name, l.partition_id,
           l.lease_id, l.head - l.place, l.stored_at, extract(epoch from now() - l.stored_at)::bigint, v_all is null
      from lagging l where l.k <= p_limit
     union all
    select p_offset + coalesce((select l.n - 1 from lagging l where l.k = p_limit + 1),
                               case when cardinality(v_ids) > p_look then p_look end),
           null, null, null, null, null, null, null, null, v_all is null;
end
$$;
