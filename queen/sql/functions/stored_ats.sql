-- stored_ats(partition_ids, offsets) → one entry per pair: when the partition's first message at or after the offset was
-- stored, or null
-- stored_at() for a page: one statement per child that holds some of them, because a statement for each is far dearer
-- than the look-up.
create or replace function stored_ats(p_partition_ids bigint[], p_offsets bigint[]) returns timestamptz[]
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_epochs    integer[];      -- where each lies; null: in none of the closed ones
    v_ats       timestamptz[];
    v_epoch     integer;
    v_closed    boolean;
begin
    select array_agg(s.epoch order by u.n), array_agg(null::timestamptz) into v_epochs, v_ats
      from unnest(p_partition_ids, p_offsets) with ordinality u (partition_id, "offset", n)
      left join lateral (
            select t.epoch from spans t where t.partition_id = u.partition_id and t.last_offset >= u."offset"
             order by t.partition_id, t.epoch limit 1) s on true;
    for v_epoch, v_closed in
        select e.epoch, e.recorded_at is not null from epochs e
         where e.recorded_at is null or e.epoch = any (v_epochs) order by e.epoch
    loop
        execute format('
            select array_agg(coalesce(u.at, m.created_at) order by u.n)
              from unnest($1, $2, $3, $4) with ordinality u (partition_id, "offset", epoch, at, n)
              left join lateral (
                    select t.created_at from messages_%1$s t
                     where u.at is null and (u.epoch = %1$s or (u.epoch is null and not $5))
                       and t.partition_id = u.partition_id and t."offset" >= u."offset"
                     order by t.partition_id, t."offset" limit 1) m on true', v_epoch)
           into v_ats using p_partition_ids, p_offsets, v_epochs, v_ats, v_closed;
    end loop;
    return v_ats;
end
$$;
