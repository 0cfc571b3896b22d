-- find_message(partition_id, transaction_id) → partition_id, "offset", epoch: the newest message of an address; of one
-- that is hidden or gone the place of its newest dead letter, with a null epoch; no row when there is neither
create or replace function find_message(p_partition_id bigint, p_transaction_id text)
returns table (partition_id bigint, "offset" bigint, epoch integer)
language plpgsql stable set search_path from current set enable_seqscan = off
    set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query
    select f.partition_id, f."offset", f.epoch
      from ((select 1 as choice, m.partition_id, m."offset", m.epoch
               from messages m join partitions p on p.partition_id = m.partition_id
              where m.transaction_id = p_transaction_id and m.partition_id = p_partition_id
                and (m."offset" < 0 or m."offset" >= p.first_offset)
              order by m."offset" desc limit 1)
            union all
            (select 2, d.partition_id, d."offset", null
               from dead_letters d
              where d.transaction_id = p_transaction_id and d.partition_id = p_partition_id
              order by d.transaction_id desc, d.partition_id desc, d.dead_letter_id desc limit 1)) f
     order by f.choice limit 1;
end
$$;
