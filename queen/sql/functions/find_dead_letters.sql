-- find_dead_letters(queue, group, partition, from, to, limit, offset)
-- Dead letters, newest first; nulls match everything.
create or replace function find_dead_letters(p_queue text, p_group text, p_partition text, p_from timestamptz, p_to timestamptz, p_limit integer, p_offset integer)
returns table (dead_letter_id bigint, partition_id bigint, "offset" bigint, transaction_id text, queue text, partition text, consumer_group text, error text, retries integer, payload text, producer_sub text, created_at timestamptz, failed_at timestamptz, first_id uuid, total bigint)
language sql stable set search_path from current as $$
    select d.dead_letter_id, d.partition_id, d."offset", d.transaction_id, q.name as queue, p.name as partition,
           d.consumer_group, d.error, d.retries, d.payload, d.producer_sub, d.created_at, d.failed_at, d.first_id,
           count(*) over () as total
      from dead_letters d
      join queues q on q.queue_id = d.queue_id
      join partitions p on p.partition_id = d.partition_id
     where (p_queue is null or q.name = p_queue) and (p_group is null or d.consumer_group = p_group)
       and (p_partition is null or p.name = p_partition)
       and (p_from is null or d.failed_at >= p_from) and (p_to is null or d.failed_at <= p_to)
     order by d.dead_letter_id desc
     limit p_limit offset p_offset
$$;
