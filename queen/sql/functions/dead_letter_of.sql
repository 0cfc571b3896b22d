-- dead_letter_of(partition_id, transaction_id) → the newest record of an address, or null
create or replace function dead_letter_of(p_partition_id bigint, p_transaction_id text) returns bigint
language sql stable set search_path from current set enable_seqscan = off as $$
    select d.dead_letter_id from dead_letters d
     where d.transaction_id = p_transaction_id and d.partition_id = p_partition_id
     order by d.transaction_id desc, d.partition_id desc, d.dead_letter_id desc limit 1
$$;
