-- offset_at(partition_id, at) → the offset of the first message stored at or after a time; the next one to be assigned
-- if there is none, the oldest kept if all are younger.
-- created_at never decreases along the offsets, so this halves the range by primary key: about 20 look-ups a million.
create or replace function offset_at(p_partition_id bigint, p_at timestamptz) returns bigint
language plpgsql stable set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
    v_low   bigint;     -- everything below it is older than p_at
    v_high  bigint;     -- everything from it on is not older
    v_mid   bigint;
    v_found bigint;
    v_at    timestamptz;
begin
    select first_offset, next_offset into v_low, v_high from partitions where partition_id = p_partition_id;
    while v_low < v_high loop
        v_mid := (v_low + v_high) / 2;
        -- Offsets may have gaps: the next message from the middle on stands for it.
        select "offset", created_at into v_found, v_at from messages
         where partition_id = p_partition_id and "offset" >= v_mid and "offset" < v_high
         order by partition_id, "offset" limit 1;
        if v_found is null or v_at >= p_at then
            v_high := v_mid;
        else
            v_low := v_found + 1;
        end if;
    end loop;
    return v_low;
end
$$;
