-- browse_tail(namespace, task, status, from, to, limit, looks, pages) → messages of all queues, newest first by place
--   namespace, task, from, to   null: any
--   status         scheduled: those alone; null: all; else those in the order
--   limit          at most so many; looks, pages: at most so many rows and pages of a table are looked at
-- Reads the last pages of the newest child, then twice as many before them, and so on, then the child before: the order
-- of the places in the table is that of storing, but for messages stored at the same moment, and for places that were
-- freed by scheduled ones and used again. A `to` in the past is found by halving.
-- Columns as in browse_partitions(), and a last row of nulls when the search ended at `looks` or `pages`.
create or replace function browse_tail(
    p_namespace text, p_task text, p_status text, p_from timestamptz, p_to timestamptz, p_limit integer, p_looks integer,
    p_pages integer
) returns table (partition_id bigint, "offset" bigint, epoch integer, created_at timestamptz)
language plpgsql stable set search_path from current set enable_seqscan = off set enable_indexscan = off
    set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
    v_epoch     integer;
    v_high      bigint;     -- pages from here on were looked at
    v_low       bigint;
    v_mid       bigint;
    v_at        timestamptz;
    v_window    integer := 8;
    v_looks     integer := 0;
    v_pages     bigint := 0;
    v_found     integer := 0;
    v_fits      boolean;
    m           record;
begin
    for v_epoch in
        select e.epoch from epochs e
         where e.emptied_at is null and (p_to is null or e.opened_at < p_to)
           and (p_from is null or e.closed_at is null or coalesce(e.recorded_at, now()) >= p_from)
         order by e.epoch desc
    loop
        v_high := pg_relation_size(to_regclass('messages_' || v_epoch)) / current_setting('block_size')::integer;
        if p_to < now() then
            v_low := 0;
            v_mid := v_high;
            while v_low < v_mid loop
                execute format('select m.created_at from messages_%s m where m.ctid >= $1 and m.ctid < $2 limit 1', v_epoch)
                   into v_at using format('(%s,0)', (v_low + v_mid) / 2)::tid,
                                   format('(%s,0)', (v_low + v_mid) / 2 + 1)::tid;
                if v_at >= p_to then
                    v_mid := (v_low + v_mid) / 2;
                else
                    v_low := (v_low + v_mid) / 2 + 1;
                end if;
            end loop;
            -- The order of places is not quite that of time.
            v_high := least(v_high, v_low + 8);
        end if;
        while v_high > 0 loop
            v_low := greatest(0, v_high - least(v_window, p_pages - v_pages));
            for m in execute format(
                'select m.partition_id, m."offset", m.epoch, m.created_at, m.queue_id, m.status from messages_%s m
                  where m.ctid >= $1 and m.ctid < $2 order by m.ctid desc', v_epoch)
              using format('(%s,0)', v_low)::tid, format('(%s,0)', v_high)::tid
            loop
                v_looks := v_looks + 1;
                v_fits := (p_from is null or m.created_at >= p_from) and (p_to is null or m.created_at < p_to)
                          and (p_status is null or (p_status = 'scheduled') = (m.status = 'scheduled'));
                if v_fits and (p_namespace is not null or p_task is not null) then
                    v_fits := is_of(m.queue_id, p_namespace, p_task);
                end if;
                if v_fits then
                    partition_id := m.partition_id; "offset" := m."offset"; epoch := m.epoch; created_at := m.created_at;
                    return next;
                    v_found := v_found + 1;
                    if v_found >= p_limit then
                        return;
                    end if;
                end if;
                exit when v_looks >= p_looks;
            end loop;
            v_pages := v_pages + v_high - v_low;
            v_high := v_low;
            v_window := least(2 * v_window, 256);
            if v_looks >= p_looks or v_pages >= p_pages then
                partition_id := null; "offset" := null; epoch := null; created_at := null;
                return next;
                return;
            end if;
        end loop;
    end loop;
end
$$;
