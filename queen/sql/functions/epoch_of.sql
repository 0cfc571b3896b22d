-- epoch_of(partition_id, offset) → the epoch that holds the partition's first message at or after an offset, or null
-- Closed epochs are known by their spans; the newest one or two are asked, each by a statement with its name in it: a
-- look-up through the parent would open every child.
create or replace function epoch_of(p_partition_id bigint, p_offset bigint) returns integer
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_epoch integer;
    v_found boolean;
begin
    select s.epoch into v_epoch from spans s
     where s.partition_id = p_partition_id and s.last_offset >= p_offset
     order by s.partition_id, s.epoch limit 1;
    if found then
        return v_epoch;
    end if;
    for v_epoch in select e.epoch from epochs e where e.recorded_at is null order by e.epoch loop
        execute format('select exists (select from messages_%s m where m.partition_id = $1 and m."offset" >= $2)',
                       v_epoch) into v_found using p_partition_id, p_offset;
        if v_found then
            return v_epoch;
        end if;
    end loop;
    return null;
end
$$;
