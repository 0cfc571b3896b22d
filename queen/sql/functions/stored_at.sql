-- stored_at(partition_id, offset) → when the partition's first message at or after an offset was stored, or null
create or replace function stored_at(p_partition_id bigint, p_offset bigint) returns timestamptz
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_epoch integer := epoch_of(p_partition_id, p_offset);
    v_at    timestamptz;
begin
    if v_epoch is not null then
        execute format('select m.created_at from messages_%s m where m.partition_id = $1 and m."offset" >= $2
                         order by m.partition_id, m."offset" limit 1', v_epoch)
           into v_at using p_partition_id, p_offset;
    end if;
    return v_at;
end
$$;
