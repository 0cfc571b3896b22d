-- queue_numbers(queue_ids, live_max, oldest) → rows of queue_stats; a null computed_at: counted just now
-- If these queues have few partitions together (see countable) they are counted. Else come the numbers that are kept, and
-- only those queues are counted that have none yet, if they are few; if not, they have zeros as of 1970. Other queues
-- without partitions are left out. oldest: counted rows have oldest_pending_at too, which costs as much again.
-- Dead letters are counted if there are at most 10,000 of all these queues; else come the numbers that are kept.
create or replace function queue_numbers(p_queue_ids integer[], p_live_max integer, p_oldest boolean)
returns setof queue_stats
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_ids       bigint[] := countable(p_queue_ids, p_live_max);
    v_kept      boolean := v_ids is null;
    v_new       integer[];
    v_bytes     double precision;
    v_dead_max  integer;
begin
    if v_kept then
        return query select k.* from queue_stats k where k.queue_id = any (p_queue_ids);
        select array_agg(u.queue_id) into v_new from unnest(p_queue_ids) u (queue_id)
         where not exists (select from queue_stats k where k.queue_id = u.queue_id);
        v_ids := countable(coalesce(v_new, '{}'), p_live_max);
        if v_ids is null then
            return query
            select u.queue_id, 'epoch'::timestamptz, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
                   0::bigint, 0::bigint, null::timestamptz
              from unnest(v_new) u (queue_id);
            return;
        end if;
    end if;
    if cardinality(v_ids) = 0 then
        return;
    end if;
    v_bytes := coalesce(message_bytes(), 0);
    select case when count(*) > 10000 then 10000 end into v_dead_max
      from (select from unnest(case when v_kept then v_new else p_queue_ids end) u (queue_id)
             cross join lateral (select from dead_letters d where d.queue_id = u.queue_id limit 10001) d
             limit 10001) x;
    return query
    select c.queue_id, null::timestamptz, c.partitions, c.total, c.pending, c.processing, c.partitions_pending,
           c.partitions_ready,
           case when v_dead_max is null then d.dead_letters else greatest(d.dead_letters, k.dead_letters) end,
           (c.total * v_bytes)::bigint, o.oldest_pending_at
      from count_queues(v_ids) c
      left join (select g.queue_id, min(g.oldest_pending_at) as oldest_pending_at
                   from count_groups(case when p_oldest then v_ids else '{}' end) g group by g.queue_id) o
           on o.queue_id = c.queue_id
      left join queue_stats k on k.queue_id = c.queue_id
      left join lateral (
            select count(*) as dead_letters
              from (select from dead_letters x where x.queue_id = c.queue_id limit v_dead_max) y) d on true;
end
$$;
