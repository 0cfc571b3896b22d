-- browse_dead_letters(queue_ids, partition_id, namespace, task, from, to, limit, looks) → messages with a dead letter,
-- newest record first
-- Of a partition by offset; of these queues, or of all of a namespace and a task (null: any), by the ids of the records.
-- Columns as in browse_partitions(); epoch is null, because the message may be gone. At most `looks` records are looked
-- at, of each queue its share; a last row of nulls when that ended the search.
create or replace function browse_dead_letters(
    p_queue_ids integer[], p_partition_id bigint, p_namespace text, p_task text, p_from timestamptz, p_to timestamptz,
    p_limit integer, p_looks integer
) returns table (partition_id bigint, "offset" bigint, epoch integer, created_at timestamptz)
language plpgsql stable set search_path from current set enable_seqscan = off set enable_sort = off
    set enable_incremental_sort = off set enable_bitmapscan = off set enable_hashagg = off as $$
#variable_conflict use_column
declare
    v_queue     integer;
    v_share     integer := p_looks / greatest(1, cardinality(p_queue_ids));
    v_found     integer;
    v_ended     boolean := false;
    v_places    refcursor;
    d           record;
    v_looks     integer;
begin
    foreach v_queue in array coalesce(case when p_partition_id is null then p_queue_ids end, array[0]) loop
        if p_partition_id is not null then
            open v_places for
                select t.partition_id, t."offset", t.created_at, t.queue_id from dead_letters t
                 where (t.partition_id, t."offset") >= (p_partition_id, -9223372036854775807)
                   and t.partition_id <= p_partition_id
                 order by t.partition_id desc, t."offset" desc;
        elsif p_queue_ids is not null then
            open v_places for
                select t.partition_id, t."offset", t.created_at, t.queue_id from dead_letters t
                 where (t.queue_id, t.dead_letter_id) >= (v_queue, 0) and t.queue_id <= v_queue
                 order by t.queue_id desc, t.dead_letter_id desc;
        else
            open v_places for
                select t.partition_id, t."offset", t.created_at, t.queue_id from dead_letters t order by t.dead_letter_id desc;
        end if;
        v_looks := 0;
        v_found := 0;
        loop
            fetch v_places into d;
            exit when not found or v_found >= p_limit;
            if v_looks >= v_share then
                v_ended := true;
                exit;
            end if;
            v_looks := v_looks + 1;
            if (p_from is null or d.created_at >= p_from) and (p_to is null or d.created_at < p_to)
               and (p_partition_id is not null or p_queue_ids is not null or (p_namespace is null and p_task is null)
                    or is_of(d.queue_id, p_namespace, p_task)) then
                partition_id := d.partition_id; "offset" := d."offset"; epoch := null; created_at := d.created_at;
                return next;
                v_found := v_found + 1;
            end if;
        end loop;
        close v_places;
    end loop;
    if v_ended then
        partition_id := null; "offset" := null; epoch := null; created_at := null;
        return next;
    end if;
end
$$;
