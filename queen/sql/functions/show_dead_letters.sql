-- show_dead_letters(dead_letter_ids) → the columns of find_dead_letters() but the total, for those that exist, by id
create or replace function show_dead_letters(p_dead_letter_ids bigint[])
returns table (dead_letter_id bigint, partition_id bigint, "offset" bigint, transaction_id text, queue text, partition text, consumer_group text, error text, retries integer, payload text, producer_sub text, created_at timestamptz, failed_at timestamptz, first_id uuid)
language sql stable set search_path from current as $$
    select d.dead_letter_id, d.partition_id, d."offset", d.transaction_id, q.name as queue, p.name as partition,
           d.consumer_group, d.error, d.retries, d.payload, d.producer_sub, d.created_at, d.failed_at, d.first_id
      from dead_letters d
      join queues q on q.queue_id = d.queue_id
      join partitions p on p.partition_id = d.partition_id
     where d.dead_letter_id = any (p_dead_letter_ids)
     order by d.dead_letter_id
$$;
