-- expire(queue_id, after, limit, lock_ms) → queue_id, after, looked, hidden
-- One page of the walk over the partitions of all queues with a retention option: hides what may go. Goes on behind
-- partition `after` of the queue, and with the queues after it, until `limit` rows were looked at; the next call takes
-- the returned pair. A null queue_id: the walk is through. A partition that has nothing old enough costs its row.
-- The page is a range of (queue, partition) without a sort, as in ready_partitions().
-- Tables written, in lock order: partitions (by id), cursors (by partition, group).
create or replace function expire(p_queue_id integer, p_after bigint, p_limit integer, p_lock_ms integer)
returns table (queue_id integer, after bigint, looked integer, hidden bigint)
language plpgsql set search_path from current set enable_seqscan = off
    set enable_sort = off set enable_incremental_sort = off as $$
#variable_conflict use_column
declare
    q           record;
    v_left      integer := p_limit;
    v_after     bigint;
    v_count     integer;
    v_due       bigint[];
    v_firsts    bigint[];
begin
    perform set_config('lock_timeout', p_lock_ms || 'ms', true);
    hidden := 0;
    for q in
        select o.queue_id, o.keep_s, o.done_s, o.wait_s, now() - least(o.keep_s, o.done_s, o.wait_s) * interval '1 second'
                    as due_at
          from (select t.queue_id, case when r.enabled then nullif(r.keep, 0) end as keep_s,
                       case when r.enabled then nullif(r.done, 0) end as done_s, nullif(r.wait, 0) as wait_s
                  from queues t
                 cross join lateral (
                        select (e.o ->> 'retentionEnabled')::boolean as enabled,
                               (e.o ->> 'retentionSeconds')::bigint as keep,
                               (e.o ->> 'completedRetentionSeconds')::bigint as done,
                               (e.o ->> 'maxWaitTimeSeconds')::bigint as wait
                          from (select default_options() || t.options as o) e) r
                 where t.options ?| array['retentionEnabled', 'maxWaitTimeSeconds'] and t.queue_id >= p_queue_id) o
         where coalesce(o.keep_s, o.done_s, o.wait_s) is not null
         order by o.queue_id
    loop
        v_after := case when q.queue_id = p_queue_id then p_after else 0 end;
        select count(*), max(p.partition_id),
               array_agg(p.partition_id) filter (
                    where p.first_at <= q.due_at
                      and (p.first_offset < p.next_offset or (p.first_offset > 0 and p.first_at = '-infinity')))
          into v_count, v_after, v_due
          from (select t.partition_id, t.first_at, t.first_offset, t.next_offset from partitions t
                 where (t.queue_id, t.partition_id) > (q.queue_id, v_after) and t.queue_id <= q.queue_id
                 order by t.queue_id, t.partition_id limit v_left) p;
        -- Looked up before anything is locked.
        select array_agg(d.partition_id order by d.partition_id), array_agg(d.first_offset order by d.partition_id)
          into v_due, v_firsts
          from (select u.partition_id, p.first_offset as was, p.first_at,
                       expiry(u.partition_id, q.keep_s, q.done_s, q.wait_s) as first_offset
                  from unnest(v_due) u (partition_id) join partitions p on p.partition_id = u.partition_id) d
         where d.first_offset > d.was or d.first_at = '-infinity';
        if v_due is not null then
            hidden := hidden + hide(v_due, v_firsts);
        end if;
        v_left := v_left - v_count;
        if v_left <= 0 then
            queue_id := q.queue_id; after := v_after; looked := p_limit;
            return next;
            return;
        end if;
    end loop;
    looked := p_limit - v_left;
    return next;
end
$$;
