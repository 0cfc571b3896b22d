-- browse_queues(queue_ids, status, from, to, limit, looks) → messages of these queues, newest first by physical place
--   status   scheduled: those alone; null: all; else those in the order
--   limit    at most so many of each queue; looks: at most so many rows are looked at, of each queue its share
-- For queues with too many partitions to ask each: walks the index on (queue_id, status) backwards, in which equal keys
-- stand in the order of their places in the table, newest child first. That is the order of storing, but for messages
-- stored at the same moment, and for places that were freed by scheduled ones and used again.
-- Columns as in browse_partitions(), and a last row of nulls when the walk ended at `looks`.
create or replace function browse_queues(
    p_queue_ids integer[], p_status text, p_from timestamptz, p_to timestamptz, p_limit integer, p_looks integer
) returns table (partition_id bigint, "offset" bigint, epoch integer, created_at timestamptz)
language plpgsql stable set search_path from current set enable_seqscan = off set enable_sort = off
    set enable_incremental_sort = off set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
    v_queue     integer;
    v_status    message_status;
    v_epoch     integer;
    v_looks     integer;
    v_found     integer;
    v_ended     boolean := false;
    v_share     integer := p_looks / greatest(1, cardinality(p_queue_ids));
    m           record;
begin
    foreach v_queue in array p_queue_ids loop
        foreach v_status in array case when p_status = 'scheduled' then array['scheduled'::message_status]
                                       when p_status is null then array['pending'::message_status, 'scheduled']
                                       else array['pending'::message_status] end loop
            continue when v_status = 'scheduled' and not exists (select from scheduled_places);
            v_looks := 0;
            v_found := 0;
            <<children>>
            for v_epoch in
                select e.epoch from epochs e
                 where e.emptied_at is null and (p_to is null or e.opened_at < p_to)
                   and (p_from is null or e.closed_at is null or coalesce(e.recorded_at, now()) >= p_from)
                 order by e.epoch desc
            loop
                for m in execute format(
                    'select m.partition_id, m."offset", m.epoch, m.created_at from messages_%s m
                      where (m.queue_id, m.status) >= ($1, $2) and (m.queue_id, m.status) <= ($1, $2)
                      order by m.queue_id desc, m.status desc', v_epoch) using v_queue, v_status
                loop
                    v_looks := v_looks + 1;
                    if (p_from is null or m.created_at >= p_from) and (p_to is null or m.created_at < p_to) then
                        partition_id := m.partition_id; "offset" := m."offset"; epoch := m.epoch;
                        created_at := m.created_at;
                        return next;
                        v_found := v_found + 1;
                    end if;
                    exit children when v_found >= p_limit;
                    if v_looks >= v_share then
                        v_ended := true;
                        exit children;
                    end if;
                end loop;
            end loop;
        end loop;
    end loop;
    if v_ended then
        partition_id := null; "offset" := null; epoch := null; created_at := null;
        return next;
    end if;
end
$$;
