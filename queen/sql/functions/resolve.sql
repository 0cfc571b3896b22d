-- resolve(queues, partitions) → one row per (queue, partition) pair, in input order, created where missing
-- Columns: queue_id, partition_id, epoch, and what push_options() says of the queue. A new queue takes namespace and task
-- from its name: up to the first dot, and between the first and the second. Two callers that create the same thing both
-- get the same ids.
-- Each look-up is a lateral one with a limit, so that it is one descent of an index whatever the statistics say.
-- Tables written, in lock order: queues (by name), counters, partitions (by queue, name).
create or replace function resolve(p_queues text[], p_partitions text[])
returns table (queue_id integer, partition_id bigint, epoch integer, options jsonb)
language plpgsql set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_missing integer;
    v_first bigint;
begin
    -- A queue may be deleted between the look and the lock: then look again. Once locked it stays to the end, so that
    -- it cannot be deleted while it gets a partition.
    loop
        perform ensure_queue(u.name, null, null) from (select distinct unnest(p_queues) as name order by 1) u
          where not exists (select from queues q where q.name = u.name);
        perform from queues q where q.name = any (p_queues) order by q.name for key share;
        exit when not exists (select from unnest(p_queues) u (name)
                               where not exists (select from queues q where q.name = u.name));
    end loop;

    select count(distinct (q.queue_id, u.partition)) into v_missing
      from unnest(p_queues, p_partitions) u (queue, partition)
     cross join lateral (select t.queue_id from queues t where t.name = u.queue limit 1) q
      left join lateral (
            select true as found from partitions t
             where t.queue_id = q.queue_id and t.name = u.partition limit 1) p on true
     where p.found is null;

    if v_missing > 0 then
        -- Taken apart from the insert, in which a plan may run it more than once.
        v_first := take_ids('partition', v_missing);
        insert into partitions (partition_id, queue_id, name, epoch)
        select v_first + row_number() over (order by m.queue_id, m.partition) - 1, m.queue_id, m.partition,
               (select max(epoch) from epochs)
          from (select distinct q.queue_id, u.partition
                  from unnest(p_queues, p_partitions) u (queue, partition)
                 cross join lateral (select t.queue_id from queues t where t.name = u.queue limit 1) q
                  left join lateral (
                        select true as found from partitions t
                         where t.queue_id = q.queue_id and t.name = u.partition limit 1) p on true
                 where p.found is null) m
         order by m.queue_id, m.partition
        on conflict (queue_id, name) do nothing;
    end if;

    return query
    select q.queue_id, p.partition_id, p.epoch,
           case when q.options <> '{}' then push_options(q.options) end
      from unnest(p_queues, p_partitions) with ordinality u (queue, partition, n)
     cross join lateral (select t.queue_id, t.options from queues t where t.name = u.queue limit 1) q
     cross join lateral (
            select t.partition_id, t.epoch from partitions t
             where t.queue_id = q.queue_id and t.name = u.partition limit 1) p
     order by u.n;
end
$$;
