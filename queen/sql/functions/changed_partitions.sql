-- changed_partitions(queues, sinces, after_ats, after_names, limits) → rows of several lists, those of one list together
--
-- The partitions of a queue, by name; or those written at or after a time, by that time and name. One list per entry.
--   sinces        null: all partitions, by name
--   after_ats, after_names   go on behind the partition with this name, and with `since` behind this time of its last
--                 write too; null: from the beginning
--   limits        most partitions of a list
-- Columns: n (which list, counted from 1), partition_id, name, first_offset, next_offset, written_at (never: when it was created). Each
-- list has one row more, with the others null; a list without it: no such queue. The first row of all, with n 0, has in
-- written_at what safe_time() says, in first_offset 1 when that is degraded, else 0.
-- By name a page is a range of an index. There is none on the time of the last write, which changes with every push: such
-- a list reads the rows of the queue's partitions, and no others.
create or replace function changed_partitions(
    p_queues text[], p_sinces timestamptz[], p_after_ats timestamptz[], p_after_names text[], p_limits integer[]
) returns table (
    n integer, partition_id bigint, name text, first_offset bigint, next_offset bigint, written_at timestamptz
)
language plpgsql volatile set search_path from current set enable_seqscan = off set enable_sort = off
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_queue     integer;
    v_since     timestamptz;
    v_from      timestamptz;    -- the page begins here, and at this time behind this name
    v_behind    text;
begin
    n := 0;
    select s.at, s.degraded::integer into written_at, first_offset from safe_time() s;
    return next;
    first_offset := null; written_at := null;
    for v_n in 1 .. coalesce(cardinality(p_queues), 0) loop
        n := v_n;
        select t.queue_id into v_queue from queues t where t.name = p_queues[v_n];
        continue when not found;
        v_since := p_sinces[v_n];
        if v_since is null then
            return query
            select v_n, p.partition_id, p.name, p.first_offset, p.next_offset,
                   case when p.last_write_at = '-infinity' then p.created_at else p.last_write_at end
              from partitions p
             where p.queue_id = v_queue and p.name > coalesce(p_after_names[v_n], '')
             order by p.queue_id, p.name limit p_limits[v_n];
        else
            v_from := greatest(v_since, p_after_ats[v_n]);
            v_behind := case when v_from = p_after_ats[v_n] then p_after_names[v_n] end;
            return query
            select v_n, p.partition_id, p.name, p.first_offset, p.next_offset, p.last_write_at
              from partitions p
             where p.queue_id = v_queue and p.last_write_at >= v_from
               and (v_behind is null or p.last_write_at > v_from or p.name > v_behind)
             order by p.last_write_at, p.name limit p_limits[v_n];
        end if;
        return next;
    end loop;
end
$$;
