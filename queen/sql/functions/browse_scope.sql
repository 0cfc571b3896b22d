-- browse_scope(queue, partition, namespace, task, partitions_max, queues_max) → queue_ids, partition_ids
-- What a search of messages may look through: partition_ids when they are no more than partitions_max, else queue_ids
-- when they are no more than queues_max, else both null: everything. Empty arrays: there is no such thing.
create or replace function browse_scope(
    p_queue text, p_partition text, p_namespace text, p_task text, p_partitions_max integer, p_queues_max integer,
    out queue_ids integer[], out partition_ids bigint[]
)
language plpgsql stable set search_path from current set enable_seqscan = off set enable_sort = off
    set enable_incremental_sort = off set enable_bitmapscan = off as $$
begin
    if p_queue is null and p_namespace is null and p_task is null then
        return;
    end if;
    select coalesce(array_agg(f.queue_id), '{}') into queue_ids
      from (select q.queue_id from queues q
             where p_queue is not null and q.name = p_queue and (p_namespace is null or q.namespace = p_namespace)
               and (p_task is null or q.task = p_task)
             union all
            (select q.queue_id from queues q
              where p_queue is null and p_namespace is not null and q.namespace = p_namespace
                and (p_task is null or q.task = p_task)
              limit p_queues_max + 1)
             union all
            (select q.queue_id from queues q
              where p_queue is null and p_namespace is null and q.task = p_task
              limit p_queues_max + 1)) f;
    if cardinality(queue_ids) > p_queues_max then
        queue_ids := null;
        return;
    end if;
    if p_partition is not null then
        select coalesce(array_agg(p.partition_id), '{}') into partition_ids
          from partitions p where p.queue_id = any (queue_ids) and p.name = p_partition;
        return;
    end if;
    select coalesce(array_agg(f.partition_id), '{}') into partition_ids
      from (select p.partition_id
              from unnest(queue_ids) u (id)
             cross join lateral (
                    select t.partition_id from partitions t
                     where t.queue_id = u.id limit p_partitions_max + 1) p
             limit p_partitions_max + 1) f;
    if cardinality(partition_ids) > p_partitions_max then
        partition_ids := null;
    end if;
end
$$;
