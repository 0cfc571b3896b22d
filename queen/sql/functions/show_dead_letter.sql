-- show_dead_letter(dead_letter_id) → one row: where the record belongs; none when it is gone
create or replace function show_dead_letter(p_dead_letter_id bigint)
returns table (transaction_id text, partition_id bigint, queue text, partition text, consumer_group text)
language sql stable set search_path from current as $$
    select d.transaction_id, d.partition_id, q.name, p.name, d.consumer_group
      from dead_letters d
      join queues q on q.queue_id = d.queue_id
      join partitions p on p.partition_id = d.partition_id
     where d.dead_letter_id = p_dead_letter_id
$$;
