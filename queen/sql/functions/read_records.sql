-- read_records(queues, partitions, offsets, bytes_max, bytes_total) → rows of several reads, those of one read together
--
-- Reads messages by offset: no group, no lease, nothing written. One read per entry of the arrays.
--   offsets       where each read begins
--   bytes_max     a read ends before the message that would take it above this many bytes; what a message counts is its
--                 payload, its transaction id, and 90 for the rest of its JSON. A message of more than that is never
--                 returned beside another one
--   bytes_total   the same for all reads together; only the first message of all may be above it
-- Columns
--   n             which read, counted from 1
--   first_offset, next_offset   the oldest offset kept, and the next to be assigned; null: no such partition
--   "offset", transaction_id, payload, created_at   a message; null in the one row that each read has besides
-- A read that begins below first_offset or above next_offset gets no message. first_offset is that of the end of a read:
-- what retention hid meanwhile is told.
-- A closed epoch is found by its spans and each child read by its name; the newest messages are in the newest child alone.
create or replace function read_records(
    p_queues text[], p_partitions text[], p_offsets bigint[], p_bytes_max bigint[], p_bytes_total bigint
) returns table (
    n integer, first_offset bigint, next_offset bigint, "offset" bigint, transaction_id text, payload text,
    created_at timestamptz
)
language plpgsql volatile set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_part      record;
    m           record;
    v_found     boolean;
    v_epochs    integer[];
    v_epoch     integer;
    v_next      bigint;         -- the offset that the next message must have, when there is no gap
    v_size      bigint;
    v_sent      bigint;         -- bytes of this read
    v_all       bigint := 0;    -- bytes of all reads
    v_full      boolean;
begin
    for v_n in 1 .. coalesce(cardinality(p_queues), 0) loop
        n := v_n; "offset" := null; transaction_id := null; payload := null; created_at := null;
        select p.partition_id, p.first_offset, p.next_offset, p.epoch, p.epoch_first_offset into v_part
          from (select t.queue_id from queues t where t.name = p_queues[v_n] limit 1) q
         cross join lateral (
                select t.* from partitions t
                 where t.queue_id = q.queue_id and t.name = p_partitions[v_n] limit 1) p;
        v_found := found;
        if not v_found then
            first_offset := null; next_offset := null;
            return next;
            continue;
        end if;
        first_offset := v_part.first_offset; next_offset := v_part.next_offset;
        v_next := p_offsets[v_n];
        if v_next < v_part.first_offset or v_next >= v_part.next_offset or (v_all > 0 and v_all >= p_bytes_total) then
            return next;
            continue;
        end if;

        if v_next >= v_part.epoch_first_offset then
            v_epochs := array[v_part.epoch];
        else
            select array_agg(e.epoch order by e.epoch) into v_epochs from epochs e
             where e.epoch <= v_part.epoch and e.emptied_at is null
               and (e.recorded_at is null
                    or exists (select from spans s
                                where s.epoch = e.epoch and s.partition_id = v_part.partition_id
                                  and s.last_offset >= v_next));
        end if;
        v_sent := 0; v_full := false;
        foreach v_epoch in array coalesce(v_epochs, '{}') loop
            -- A cursor: no more is read than goes.
            for m in execute format('select m."offset", m.transaction_id, m.payload, m.created_at,
                                            octet_length(m.payload) + octet_length(m.transaction_id) + 90 as size
                                       from messages_%s m
                                      where m.partition_id = $1 and m."offset" >= $2 and m."offset" < $3
                                      order by m.partition_id, m."offset"', v_epoch)
               using v_part.partition_id, v_next, v_part.next_offset
            loop
                v_size := m.size;
                v_full := v_all > 0 and (v_sent + v_size > p_bytes_max[v_n] or v_all + v_size > p_bytes_total);
                exit when v_full;
                v_sent := v_sent + v_size; v_all := v_all + v_size;
                if m."offset" > v_next then
                    -- A gap, or retention has been here meanwhile.
                    select p.first_offset into first_offset from partitions p where p.partition_id = v_part.partition_id;
                end if;
                "offset" := m."offset"; transaction_id := m.transaction_id; payload := m.payload;
                created_at := m.created_at;
                return next;
                v_next := m."offset" + 1;
            end loop;
            exit when v_full;
        end loop;
        if not v_full and v_next < v_part.next_offset then
            select p.first_offset into first_offset from partitions p where p.partition_id = v_part.partition_id;
        end if;
        "offset" := null; transaction_id := null; payload := null; created_at := null;
        return next;
    end loop;
end
$$;
