-- seek_partition(queue, partition, group, at) → queue_id, partition_id; no row: there is no such partition
-- seek() of one partition by its name.
-- Tables written, in lock order: partitions (shared), cursors, group_stats; see seek().
create or replace function seek_partition(p_queue text, p_partition text, p_group text, p_at timestamptz)
returns table (queue_id integer, partition_id bigint)
language plpgsql set search_path from current as $$
#variable_conflict use_column
begin
    for queue_id, partition_id in
        select p.queue_id, p.partition_id from queues q join partitions p on p.queue_id = q.queue_id
         where q.name = p_queue and p.name = p_partition
    loop
        if seek(array[partition_id], p_group, p_at) > 0 then
            return next;
        end if;
    end loop;
end
$$;
