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
begin
    select array_agg(g.queue_id order by g.queue_id, g.consumer_group),
           array_agg(g.consumer_group order by g.queue_id, g.consumer_group) into v_queues, v_groups
      from (select c.queue_id, c.consumer_group from count_groups(v_all) c
             where c.consumer_group is not null and c.partitions_with_lag > 0
             union all
            select k.queue_id, k.consumer_group from group_stats k
             where v_all is null and k.oldest_pending_at <= v_before) g;
    return query
    with looked as materialized (
        select row_number() over () as n, w.*
          from (select g.queue_id, g.consumer_group, p.partition_id, p.name, c.lease_id, p.next_offset,
                       case when c.acked is not null and p.created_at <= v_before
                            then greatest(c.acked + 1, p.first_offset) end as place
                  from unnest(v_queues, v_groups) g (queue_id, consumer_group)
                 cross join lateral (
                        select t.* from partitions t
                         where (t.queue_id, t.partition_id) > (g.queue_id, 0) and t.queue_id <= g.queue_id
                         order by t.queue_id, t.partition_id limit p_offset + p_look + 1) p
                  left join lateral (
                        select t.acked, case when t.lease_until > now() then t.lease_id end as lease_id from cursors t
                         where t.partition_id = p.partition_id and t.consumer_group = g.consumer_group limit 1) c on true
                 limit p_look + 1 offset p_offset) w
    ), oldest as materialized (
        select t.partition_id, t."offset", t.stored_at
          from (select array_agg(w.partition_id) as ids, array_agg(w.place) as places from looked w
                 where w.place < w.next_offset and w.n <= p_look) a
         cross join lateral stored_at_each(a.ids, a.places) t
         where t.stored_at <= v_before
    ), lagging as materialized (
        select w.*, o.stored_at, row_number() over (order by w.n) as k
          from oldest o join looked w on w.partition_id = o.partition_id and w.place = o."offset" and w.n <= p_look
    )
    select r.next, r.consumer_group, r.queue, r.name, r.partition_id, r.lease_id, r.lag, r.stored_at,
           extract(epoch from now() - r.stored_at)::bigint, v_all is null
      from (select l.k, null::bigint as next, l.consumer_group, q.name as queue, l.name, l.partition_id, l.lease_id,
                   l.next_offset - l.place as lag, l.stored_at
              from lagging l join queues q on q.queue_id = l.queue_id
             where l.k <= p_limit
             union all
            select null, p_offset + coalesce((select l.n - 1 from lagging l where l.k = p_limit + 1),
                                             (select p_look::bigint from looked w where w.n > p_look)),
                   null, null, null, null, null, null, null) r
     order by r.k;
end
$$;
