-- partition_names(partition_ids)
-- Names of partitions and their queues, and what push_options() says of these.
create or replace function partition_names(p_partition_ids bigint[])
returns table (partition_id bigint, queue_id integer, queue text, partition text, epoch integer, options jsonb)
language sql stable set search_path from current as $$
    select p.partition_id, p.queue_id, q.name as queue, p.name as partition, p.epoch,
           case when q.options <> '{}' then push_options(q.options) end as options
      from partitions p join queues q on q.queue_id = p.queue_id
     where p.partition_id = any (p_partition_ids)
$$;
