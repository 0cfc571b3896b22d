-- list_groups(limit, offset, live_max) → one row per (group, queue): its numbers, and how it is registered
-- One page by group and queue of the groups that have a cursor or a registration. The numbers are those of
-- group_numbers(): counted where there is little (see countable), else as they were kept; zero without a cursor.
--   max_lag_s    age of the oldest message that is not consumed
--   mode         how it is registered; null: it is not
--   kept         the numbers are kept ones
create or replace function list_groups(p_limit integer, p_offset integer, p_live_max integer)
returns table (consumer_group text, queue text, members bigint, partitions_with_lag bigint, total_lag bigint,
               max_lag_s bigint, consumed boolean, mode text, start_at timestamptz, registered_at timestamptz,
               kept boolean)
language sql stable set search_path from current set enable_seqscan = off as $$
    with numbers as materialized (
        select * from group_numbers(null, null, p_offset + p_limit, 0, p_live_max)
    ), page as materialized (
        select n.consumer_group, n.queue_id from numbers n
         union
        (select s.consumer_group, s.queue_id from subscriptions s
          order by s.consumer_group, s.queue_id limit p_offset + p_limit)
         order by 1, 2 limit p_limit offset p_offset
    )
    select g.consumer_group, q.name, coalesce(n.members, 0), coalesce(n.partitions_with_lag, 0), coalesce(n.total_lag, 0),
           coalesce(greatest(0, extract(epoch from now() - n.oldest_pending_at)), 0)::bigint,
           coalesce(n.consumed, false), s.mode, nullif(s.start_at, '-infinity'), s.created_at,
           coalesce(n.computed_at is not null, false)
      from page g
      join queues q on q.queue_id = g.queue_id
      left join numbers n on n.queue_id = g.queue_id and n.consumer_group = g.consumer_group
      left join subscriptions s on s.queue_id = g.queue_id and s.consumer_group = g.consumer_group
     order by g.consumer_group, g.queue_id
$$;
