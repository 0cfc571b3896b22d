-- refresh_stats(queue_id, after, limit, carry) → one row: queue_id, after, queues, partitions, carry
-- One page of the walk over all partitions that keeps queue_stats and group_stats: counts up to `limit` partitions behind
-- partition `after` of the queue, and writes the queues that end among them. The sums of a queue that does not are handed
-- back as `carry`; the next call takes it with the returned pair. The first one takes 0, 0 and null.
--   queue_id, after          where the next page begins; a null queue_id: the walk is through
--   queues, partitions       written and counted by this page
-- Rows that the walk comes by and did not write are of queues and groups that are gone: they go too. Two walks at once are
-- safe: pages go one after the other, and what was computed later stays.
-- Tables written, in lock order: queue_stats (by id), group_stats (by queue, group).
create or replace function refresh_stats(p_queue_id integer, p_after bigint, p_limit integer, p_carry text)
returns table (queue_id integer, after bigint, queues integer, partitions integer, carry text)
language plpgsql set search_path from current set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_carry     jsonb := coalesce(p_carry, '{}')::jsonb;
    v_at        timestamptz;
    v_ids       bigint[];
    v_done_to   integer;
    v_queues    queue_stats[];
    v_groups    group_stats[];
    v_bytes     double precision := coalesce(message_bytes(), 0);
begin
    perform set_config('synchronous_commit', 'off', true);
    perform pg_advisory_xact_lock(hashtext(current_schema()), hashtext('refresh_stats'));
    v_at := clock_timestamp();
    select b.partition_ids, b.last_queue_id into v_ids, queue_id from partitions_behind(p_queue_id, p_after, p_limit) b;
    partitions := coalesce(cardinality(v_ids), 0);
    v_done_to := case when partitions < p_limit then 2147483647 else queue_id - 1 end;

    select array_agg((g.queue_id, g.consumer_group, v_at, g.members, g.partitions_with_lag, g.partitions_ready,
                      g.total_lag, g.processing, g.consumed, g.oldest_pending_at)::group_stats)
      into v_groups
      from (select s.queue_id, s.consumer_group, sum(s.members)::bigint as members,
                   sum(s.partitions_with_lag)::bigint as partitions_with_lag,
                   sum(s.partitions_ready)::bigint as partitions_ready, sum(s.total_lag)::bigint as total_lag,
                   sum(s.processing)::bigint as processing, bool_or(s.consumed) as consumed,
                   min(s.oldest_pending_at) as oldest_pending_at
              from (select * from count_groups(v_ids)
                     union all
                    select * from jsonb_populate_recordset(null::group_stats, coalesce(v_carry -> 'groups', '[]'))) s
             group by s.queue_id, s.consumer_group) g;
    select array_agg((q.queue_id, v_at, q.partitions, q.total, q.pending, q.processing, q.partitions_pending,
                      q.partitions_ready, 0, 0, q.oldest_pending_at)::queue_stats)
      into v_queues
      from (select s.queue_id, sum(s.partitions)::bigint as partitions, sum(s.total)::bigint as total,
                   sum(s.pending)::bigint as pending, sum(s.processing)::bigint as processing,
                   sum(s.partitions_pending)::bigint as partitions_pending,
                   sum(s.partitions_ready)::bigint as partitions_ready, min(s.oldest_pending_at) as oldest_pending_at
              from (select * from count_queues(v_ids)
                     union all
                    select * from jsonb_populate_recordset(null::queue_stats, coalesce(v_carry -> 'queues', '[]'))
                     union all
                    -- Summed up with the others instead of joined to them: the planner cannot know how many there are.
                    select g.queue_id, v_at, 0, 0, 0, 0, 0, 0, 0, 0, g.oldest_pending_at from unnest(v_groups) g) s
             group by s.queue_id) q;

    insert into queue_stats as k (queue_id, computed_at, partitions, total, pending, processing, partitions_pending,
                                  partitions_ready, dead_letters, retained_bytes, oldest_pending_at)
    select q.queue_id, q.computed_at, q.partitions, q.total, q.pending, q.processing, q.partitions_pending,
           q.partitions_ready, (select count(*) from dead_letters d where d.queue_id = q.queue_id),
           (q.total * v_bytes)::bigint, q.oldest_pending_at
      from unnest(v_queues) q
     where q.queue_id <= v_done_to and exists (select from queues x where x.queue_id = q.queue_id)
     order by q.queue_id
    on conflict (queue_id) do update
       set computed_at = excluded.computed_at, partitions = excluded.partitions, total = excluded.total,
           pending = excluded.pending, processing = excluded.processing,
           partitions_pending = excluded.partitions_pending, partitions_ready = excluded.partitions_ready,
           dead_letters = excluded.dead_letters, retained_bytes = excluded.retained_bytes,
           oldest_pending_at = excluded.oldest_pending_at;
    get diagnostics queues = row_count;
    delete from queue_stats k
     where k.queue_id between p_queue_id and v_done_to and k.computed_at < v_at;

    insert into group_stats as k (queue_id, consumer_group, computed_at, members, partitions_with_lag, partitions_ready,
                                  total_lag, processing, consumed, oldest_pending_at)
    select g.queue_id, g.consumer_group, g.computed_at, g.members, g.partitions_with_lag, g.partitions_ready,
           g.total_lag, g.processing, g.consumed, g.oldest_pending_at
      from unnest(v_groups) g
     where g.queue_id <= v_done_to and g.consumer_group is not null
       and exists (select from queues x where x.queue_id = g.queue_id)
     order by g.queue_id, g.consumer_group
    on conflict (queue_id, consumer_group) do update
       set computed_at = excluded.computed_at, members = excluded.members,
           partitions_with_lag = excluded.partitions_with_lag, partitions_ready = excluded.partitions_ready,
           total_lag = excluded.total_lag, processing = excluded.processing,
           -- What one walk saw stays true: an ack that changed nothing hides it from the next.
           consumed = k.consumed or excluded.consumed, oldest_pending_at = excluded.oldest_pending_at;
    delete from group_stats k
     using (select t.queue_id, t.consumer_group from group_stats t
             where t.queue_id between p_queue_id and v_done_to and t.computed_at < v_at
               for update skip locked) gone  -- who has it locked removes it too
     where k.queue_id = gone.queue_id and k.consumer_group = gone.consumer_group;

    if partitions < p_limit then
        queue_id := null;
    else
        after := v_ids[partitions];
        carry := jsonb_build_object(
            'queues', (select jsonb_agg(to_jsonb(q)) from unnest(v_queues) q where q.queue_id > v_done_to),
            'groups', (select jsonb_agg(to_jsonb(g)) from unnest(v_groups) g where g.queue_id > v_done_to))::text;
    end if;
    return next;
end
$$;
