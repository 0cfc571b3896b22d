-- walk_dead_letters(queue, group, partition, from, to, error, after, last, limit, bytes_max) → dead letters of a queue,
-- oldest first
--   group, partition, from, to, error   null matches everything; error is a part of the text, any case
--   after, last   only records with ids above `after`, up to `last` (null: no bound)
--   limit         at most so many records are looked at
--   bytes_max     none after the first that would bring the payloads above this
-- One row per match, and a last one with a null dead_letter_id: `looked_to` is where to go on, null when the walk is
-- through.
create or replace function walk_dead_letters(
    p_queue text, p_group text, p_partition text, p_from timestamptz, p_to timestamptz, p_error text, p_after bigint,
    p_last bigint, p_limit integer, p_bytes_max bigint
) returns table (dead_letter_id bigint, partition_id bigint, looked_to bigint)
language plpgsql stable set search_path from current set enable_seqscan = off
    set enable_sort = off set enable_incremental_sort = off as $$
#variable_conflict use_column
declare
    v_queue     integer;
    v_part      bigint;
    v_looked    integer := 0;
    v_bytes     bigint := 0;
    d           record;
begin
    select q.queue_id into v_queue from queues q where q.name = p_queue;
    if p_partition is not null then
        select p.partition_id into v_part from partitions p where p.queue_id = v_queue and p.name = p_partition;
        if v_part is null then
            return next;
            return;
        end if;
    end if;
    looked_to := null;
    for d in
        select t.dead_letter_id, t.partition_id, octet_length(t.payload) as bytes,
               (p_group is null or t.consumer_group = p_group) and (v_part is null or t.partition_id = v_part)
               and (p_from is null or t.failed_at >= p_from) and (p_to is null or t.failed_at <= p_to)
               and (p_error is null or position(lower(p_error) in lower(t.error)) > 0) as matches
          from dead_letters t
         where (t.queue_id, t.dead_letter_id) > (v_queue, p_after)
           and (t.queue_id, t.dead_letter_id) <= (v_queue, coalesce(p_last, 9223372036854775807))
         order by t.queue_id, t.dead_letter_id
    loop
        if v_looked >= p_limit or (d.matches and v_bytes > 0 and v_bytes + d.bytes > p_bytes_max) then
            dead_letter_id := null; partition_id := null; looked_to := coalesce(looked_to, p_after);
            return next;
            return;
        end if;
        v_looked := v_looked + 1;
        if d.matches then
            v_bytes := v_bytes + d.bytes;
            dead_letter_id := d.dead_letter_id; partition_id := d.partition_id; looked_to := d.dead_letter_id;
            return next;
        end if;
        looked_to := d.dead_letter_id;
    end loop;
    dead_letter_id := null; partition_id := null; looked_to := null;
    return next;
end
$$;
