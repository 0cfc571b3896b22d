-- group_partitions(group, limit, offset, live_max) → where a group stands, one row per partition
-- One page of the partitions of its queues, by queue and name's age (the id). Partitions without a cursor of the group
-- are rows too, with a null `acked`, so that a page is a range and costs what it is long. Its queues are those where it
-- is registered or was counted; where there is little (see countable), those where it has a cursor.
--   lag, lag_s   messages behind, and the age of the first of them; 0 without any
--   lease_id     the live lease
-- The page is a range of (queue, partition) without a sort, as in ready_partitions().
create or replace function group_partitions(p_group text, p_limit integer, p_offset integer, p_live_max integer)
returns table (queue text, partition text, acked bigint, lag bigint, lag_s bigint, lease_id uuid)
language plpgsql stable set search_path from current set enable_seqscan = off
    set enable_sort = off set enable_incremental_sort = off set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
    v_all       bigint[] := countable(null, p_live_max);
    v_queues    integer[];
    v_listed    integer[];      -- of each partition of the page: its queue
    v_most      integer;        -- queues to look at; null: all
    v_places    bigint[];       -- of each partition of the page: the first offset that is not consumed
    v_heads     bigint[];
    v_ids       bigint[];
    v_names     text[];
    v_acked     bigint[];
    v_leases    uuid[];
begin
    if v_all is not null then
        select array_agg(distinct p.queue_id) into v_queues
          from unnest(v_all) u (partition_id)
          join cursors c on c.partition_id = u.partition_id and c.consumer_group = p_group
          join partitions p on p.partition_id = u.partition_id;
    else
        -- As many queues as the page has rows are enough where each of them has a partition; else all are asked for.
        v_most := p_offset + p_limit;
    end if;
    loop
        if v_most is not null or v_all is null then
            select array_agg(g.queue_id) into v_queues
              from ((select s.queue_id from subscriptions s where s.consumer_group = p_group
                      order by s.queue_id limit v_most)
                     union
                    (select k.queue_id from group_stats k where k.consumer_group = p_group
                      order by k.queue_id limit v_most)
                     order by queue_id limit v_most) g;
        end if;
        select array_agg(w.queue_id), array_agg(w.partition_id), array_agg(w.name), array_agg(w.acked),
               array_agg(w.lease_id), array_agg(w.next_offset),
               array_agg(case when w.acked is not null then greatest(w.acked + 1, w.first_offset) end)
          into v_listed, v_ids, v_names, v_acked, v_leases, v_heads, v_places
          from (select p.*, c.acked, c.lease_id
                  from (select r.*
                          from (select u.queue_id from unnest(v_queues) u (queue_id) order by u.queue_id) g
                         cross join lateral (
                                select t.queue_id, t.partition_id, t.name, t.first_offset, t.next_offset from partitions t
                                 where (t.queue_id, t.partition_id) > (g.queue_id, 0) and t.queue_id <= g.queue_id
                                 order by t.queue_id, t.partition_id limit p_offset + p_limit) r
                         limit p_limit offset p_offset) p
                  left join lateral (
                        select t.acked, case when t.lease_until > now() then t.lease_id end as lease_id from cursors t
                         where t.partition_id = p.partition_id and t.consumer_group = p_group limit 1) c on true) w;
        exit when v_most is null or cardinality(v_ids) = p_limit or coalesce(cardinality(v_queues), 0) < v_most;
        v_most := null;
    end loop;
    return query
    select (select q.name from queues q where q.queue_id = u.queue_id), u.name, u.acked, u.head - u.place,
           coalesce(greatest(0, extract(epoch from now() - u.stored_at)), 0)::bigint, u.lease_id
      from unnest(v_listed, v_names, v_acked, v_leases, v_heads, v_places, stored_at_each(v_ids, v_places))
           with ordinality u (queue_id, name, acked, lease_id, head, place, stored_at, n)
     order by u.n;
end
$$;
