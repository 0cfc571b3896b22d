-- stored_at_each(partition_ids, offsets) → for each, when the partition's first message at or after the offset was stored
-- Like stored_at() for many at once: one statement for each epoch that is read, not one for each partition. Places at
-- which nothing stands (any more) are left out.
create or replace function stored_at_each(p_partition_ids bigint[], p_offsets bigint[])
returns table (partition_id bigint, "offset" bigint, stored_at timestamptz)
language plpgsql stable set search_path from current set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_epoch     integer;
    v_ids       bigint[];
    v_offsets   bigint[];
    v_unclear   boolean;
begin
    for v_epoch, v_ids, v_offsets, v_unclear in
        -- Recorded epochs are known by their spans, the newest of a partition by where it begins.
        select w.epoch, array_agg(w.partition_id), array_agg(w."offset"), w.epoch is null
          from (select u.partition_id, u."offset",
                       coalesce(s.epoch, case when u."offset" >= p.epoch_first_offset then p.epoch end) as epoch
                  from (select distinct x.partition_id, x."offset"
                          from unnest(p_partition_ids, p_offsets) x (partition_id, "offset")) u
                 cross join lateral (select t.epoch, t.epoch_first_offset from partitions t
                                      where t.partition_id = u.partition_id and u."offset" < t.next_offset) p
                  left join lateral (select t.epoch from spans t
                                      where t.partition_id = u.partition_id and t.last_offset >= u."offset"
                                      order by t.partition_id, t.epoch limit 1) s on true) w
         group by w.epoch
    loop
        if v_unclear then
            return query
            select u.partition_id, u."offset", a.stored_at
              from unnest(v_ids, v_offsets) u (partition_id, "offset")
             cross join lateral (select stored_at(u.partition_id, u."offset") as stored_at) a
             where a.stored_at is not null;
            continue;
        end if;
        begin
            return query execute format(
                'select u.partition_id, u."offset", m.created_at from unnest($1, $2) u (partition_id, "offset")
                  cross join lateral (select t.created_at from messages_%s t
                                       where t.partition_id = u.partition_id and t."offset" >= u."offset"
                                       order by t.partition_id, t."offset" limit 1) m', v_epoch)
             using v_ids, v_offsets;
        exception when undefined_table then
            null;  -- The epoch has just left, and with it what stood there.
        end;
    end loop;
end
$$;
