-- offset_at(partition_id, at) → the offset of the first message stored at or after a time; the next one to be assigned
-- if there is none, the oldest kept if all are younger.
-- created_at never decreases along the offsets, so this finds the epoch first (by its last message) and halves the range
-- in its child by primary key: about 20 look-ups a million.
create or replace function offset_at(p_partition_id bigint, p_at timestamptz) returns bigint
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_low   bigint;     -- everything below it is older than p_at
    v_high  bigint;     -- everything from it on is not older
    v_mid   bigint;
    v_found bigint;
    v_at    timestamptz;
    v_last  bigint;
    v_epoch integer;
begin
    select first_offset, next_offset into v_low, v_high from partitions where partition_id = p_partition_id;
    select s.epoch, greatest(v_low, s.first_offset), s.last_offset into v_epoch, v_mid, v_last from spans s
     where s.partition_id = p_partition_id and s.last_at >= p_at and s.last_offset >= v_low
     order by s.epoch limit 1;
    if v_epoch is not null then
        v_low := v_mid;
    else
        for v_epoch in select e.epoch from epochs e where e.recorded_at is null order by e.epoch loop
            execute format('select m."offset", m.created_at from messages_%s m
                             where m.partition_id = $1 and m."offset" >= $2
                             order by m.partition_id desc, m."offset" desc limit 1', v_epoch)
               into v_last, v_at using p_partition_id, v_low;
            exit when v_at >= p_at;
            v_low := coalesce(v_last + 1, v_low);
            v_last := null;
        end loop;
        if v_last is null then
            return v_high;
        end if;
        -- What lies between the older epochs and the first message here is not there to be found.
        execute format('select m."offset" from messages_%s m where m.partition_id = $1 and m."offset" >= $2
                         order by m.partition_id, m."offset" limit 1', v_epoch)
           into v_low using p_partition_id, v_low;
    end if;
    v_high := v_last;
    while v_low < v_high loop
        v_mid := (v_low + v_high) / 2;
        -- Offsets may have gaps: the next message from the middle on stands for it.
        execute format('select m."offset", m.created_at from messages_%s m
                         where m.partition_id = $1 and m."offset" >= $2 and m."offset" < $3
                         order by m.partition_id, m."offset" limit 1', v_epoch)
           into v_found, v_at using p_partition_id, v_mid, v_high;
        if v_found is null or v_at >= p_at then
            v_high := v_mid;
        else
            v_low := v_found + 1;
        end if;
    end loop;
    return v_low;
end
$$;
