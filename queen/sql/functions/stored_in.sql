-- stored_in(epoch, places, partition_ids, offsets, times) → `times`, with those of this epoch at their places
-- For each entry, when the partition's first message at or after the offset was stored, if this epoch has one and nothing
-- stands at its place yet; else that place is left as it is. An epoch that has just left holds nothing any more.
create or replace function stored_in(
    p_epoch integer, p_places integer[], p_partition_ids bigint[], p_offsets bigint[], p_times timestamptz[]
) returns timestamptz[]
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_found     integer[];
    v_ats       timestamptz[];
begin
    execute format(
        'select array_agg(u.n), array_agg(m.created_at) from unnest($1, $2, $3) u (n, partition_id, "offset")
          cross join lateral (select t.created_at from messages_%s t
                               where t.partition_id = u.partition_id and t."offset" >= u."offset"
                               order by t.partition_id, t."offset" limit 1) m', p_epoch)
       into v_found, v_ats using p_places, p_partition_ids, p_offsets;
    for i in 1 .. coalesce(cardinality(v_found), 0) loop
        p_times[v_found[i]] := coalesce(p_times[v_found[i]], v_ats[i]);
    end loop;
    return p_times;
exception when undefined_table then
    return p_times;
end
$$;
