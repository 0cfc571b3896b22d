-- find_dead_letters(queue, group, partition, from, to, limit, offset)
-- Dead letters, newest first; nulls match everything. `total` is the number of all that match, in every row; behind the
-- last page there is one row with nothing but it.
-- Walks an index of ids backwards and stops when the page is full and 20,000 records were looked at, or 100,000 in any
-- case: `total` is what matched so far then. A page ends before the record that would bring its payloads above 16 MiB,
-- unless that is the first.
create or replace function find_dead_letters(p_queue text, p_group text, p_partition text, p_from timestamptz, p_to timestamptz, p_limit integer, p_offset integer)
returns table (dead_letter_id bigint, partition_id bigint, "offset" bigint, transaction_id text, queue text, partition text, consumer_group text, error text, retries integer, payload text, producer_sub text, created_at timestamptz, failed_at timestamptz, first_id uuid, total bigint)
language plpgsql stable set search_path from current set enable_seqscan = off set enable_sort = off
    set enable_incremental_sort = off set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
    v_queue     integer;
    v_walk      refcursor;
    v_looks     integer := 0;
    v_found     bigint := 0;
    v_ids       bigint[] := '{}';
    v_bytes     bigint := 0;
    d           record;
begin
    if p_queue is not null then
        select q.queue_id into v_queue from queues q where q.name = p_queue;
        open v_walk for
            select t.dead_letter_id, t.partition_id, t.consumer_group, t.failed_at, octet_length(t.payload) as bytes
              from dead_letters t
             where (t.queue_id, t.dead_letter_id) >= (v_queue, 0) and t.queue_id <= v_queue
             order by t.queue_id desc, t.dead_letter_id desc;
    else
        open v_walk for
            select t.dead_letter_id, t.partition_id, t.consumer_group, t.failed_at, octet_length(t.payload) as bytes
              from dead_letters t
             order by t.dead_letter_id desc;
    end if;
    loop
        fetch v_walk into d;
        exit when not found or v_looks >= 100000 or (v_looks >= 20000 and v_found >= p_offset + p_limit + 1);
        v_looks := v_looks + 1;
        continue when d.consumer_group <> p_group or d.failed_at < p_from or d.failed_at > p_to
                      or (p_partition is not null
                          and not exists (select from partitions p
                                           where p.partition_id = d.partition_id and p.name = p_partition));
        v_found := v_found + 1;
        if v_found > p_offset and v_found <= p_offset + p_limit then
            v_bytes := v_bytes + d.bytes;
            if v_bytes <= 16777216 or v_ids = '{}' then
                v_ids := v_ids || d.dead_letter_id;
            end if;
        end if;
    end loop;
    close v_walk;
    if v_ids = '{}' and v_found > 0 then
        total := v_found;
        return next;
    end if;
    return query
    select s.*, v_found
      from unnest(v_ids) with ordinality u (id, n)
     cross join lateral show_dead_letters(array[u.id]) s
     order by u.n;
end
$$;
