-- find_dead_letters(queue, group, partition, from, to, limit, offset)
-- Dead letters, newest first; nulls match everything. `total` is the number of all that match, in every row; behind the
-- last page there is one row with nothing but it.
-- Looks at the newest 20,000 records (or as many as the page needs), a range of an index of ids, and at 100,000 when the
-- page is not full with these: `total` is what matches among those that were looked at. A page ends before the record that would bring its payloads
-- above 16 MiB, unless that is the first.
create or replace function find_dead_letters(p_queue text, p_group text, p_partition text, p_from timestamptz, p_to timestamptz, p_limit integer, p_offset integer)
returns table (dead_letter_id bigint, partition_id bigint, "offset" bigint, transaction_id text, queue text, partition text, consumer_group text, error text, retries integer, payload text, producer_sub text, created_at timestamptz, failed_at timestamptz, first_id uuid, total bigint)
language plpgsql stable set search_path from current set enable_seqscan = off set enable_sort = off
    set enable_incremental_sort = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_queue     integer;
    v_part      bigint;         -- of a queue that is named
    v_most      integer := least(greatest(20000, p_offset + p_limit + 1), 100000);
    v_looked    bigint;
    v_found     bigint;
    v_ids       bigint[];
begin
    if p_queue is not null then
        select q.queue_id into v_queue from queues q where q.name = p_queue;
        if p_partition is not null then
            select p.partition_id into v_part from partitions p where p.queue_id = v_queue and p.name = p_partition;
        end if;
        if v_queue is null or (p_partition is not null and v_part is null) then
            return;
        end if;
    end if;
    loop
        with looked as materialized (
           (select t.dead_letter_id, t.partition_id, t.consumer_group, t.failed_at, octet_length(t.payload) as bytes
              from dead_letters t
             where p_queue is not null and (t.queue_id, t.dead_letter_id) >= (v_queue, 0) and t.queue_id <= v_queue
             order by t.queue_id desc, t.dead_letter_id desc limit v_most)
             union all
           (select t.dead_letter_id, t.partition_id, t.consumer_group, t.failed_at, octet_length(t.payload)
              from dead_letters t
             where p_queue is null
             order by t.dead_letter_id desc limit v_most)
        ), matching as materialized (
            select l.dead_letter_id, l.bytes, row_number() over () as n
              from looked l
             where (p_group is null or l.consumer_group = p_group)
               and (p_from is null or l.failed_at >= p_from) and (p_to is null or l.failed_at <= p_to)
               and (v_part is null or l.partition_id = v_part)
               and (p_partition is null or v_part is not null
                    or exists (select from partitions p where p.partition_id = l.partition_id and p.name = p_partition))
        ), page as (
            select m.dead_letter_id, m.n, sum(m.bytes) over (order by m.n) as bytes_to
              from matching m where m.n > p_offset and m.n <= p_offset + p_limit
        )
        select (select count(*) from looked), (select count(*) from matching),
               (select array_agg(g.dead_letter_id) from page g where g.bytes_to <= 16777216 or g.n = p_offset + 1)
          into v_looked, v_found, v_ids;
        exit when v_looked < v_most or v_found > p_offset + p_limit or v_most = 100000;
        v_most := 100000;
    end loop;
    if v_ids is null and v_found > 0 then
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
