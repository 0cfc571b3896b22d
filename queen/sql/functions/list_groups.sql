-- list_groups(limit, offset, live_max) → one row per (group, queue): its numbers, and how it is registered
-- One page by group and queue of the groups that have a cursor or a registration. The numbers are those of
-- group_numbers(): counted where there is little (see countable), else as they were kept; zero without a cursor.
--   max_lag_s    age of the oldest message that is not consumed
--   mode         how it is registered; null: it is not
--   kept         the numbers are kept ones
-- A page far into kept ones walks over the keys before it, in two indexes that are merged, and reads no other row.
create or replace function list_groups(p_limit integer, p_offset integer, p_live_max integer)
returns table (consumer_group text, queue text, members bigint, partitions_with_lag bigint, total_lag bigint,
               max_lag_s bigint, consumed boolean, mode text, start_at timestamptz, registered_at timestamptz,
               kept boolean)
language plpgsql stable set search_path from current set enable_seqscan = off set enable_hashagg = off
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_last      integer := p_offset + p_limit;
    v_kept      boolean := countable(null, p_live_max) is null;
    v_counted   group_stats[];
begin
    if not v_kept then
        select array_agg(n) into v_counted from group_numbers(null, null, v_last, 0, p_live_max) n;
    end if;
    return query
    with counted as materialized (
        select * from unnest(v_counted)
    ), page as materialized (
        select k.consumer_group, k.queue_id
          from ((select n.consumer_group, n.queue_id from group_stats n where v_kept
                  order by n.consumer_group, n.queue_id limit v_last)
                 union all
                (select c.consumer_group, c.queue_id from counted c order by c.consumer_group, c.queue_id)
                 union all
                (select s.consumer_group, s.queue_id from subscriptions s
                  order by s.consumer_group, s.queue_id limit v_last)) k
         group by k.consumer_group, k.queue_id
         order by k.consumer_group, k.queue_id limit p_limit offset p_offset
    )
    select g.consumer_group, q.name, coalesce(n.members, 0), coalesce(n.partitions_with_lag, 0), coalesce(n.total_lag, 0),
           coalesce(greatest(0, extract(epoch from now() - n.oldest_pending_at)), 0)::bigint,
           coalesce(n.consumed, false), s.mode, nullif(s.start_at, '-infinity'), s.created_at,
           v_kept and n.queue_id is not null
      from page g
      join queues q on q.queue_id = g.queue_id
      left join lateral (
            select k.* from group_stats k where v_kept and k.queue_id = g.queue_id and k.consumer_group = g.consumer_group
             union all
            select c.* from counted c where c.queue_id = g.queue_id and c.consumer_group = g.consumer_group) n on true
      left join subscriptions s on s.queue_id = g.queue_id and s.consumer_group = g.consumer_group
     order by g.consumer_group, g.queue_id;
end
$$;
