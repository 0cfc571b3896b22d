-- stored_at_each(partition_ids, offsets) → for each, in the same order, when the partition's first message at or after the
-- offset was stored; null where nothing stands (any more), or nothing was asked
-- Like stored_at() for many at once: one statement for each epoch that is read, not one for each partition. It hands
-- back an array and not rows, so that nobody has to join them: the planner, who cannot know how many there are, would
-- compare each with each.
create or replace function stored_at_each(p_partition_ids bigint[], p_offsets bigint[]) returns timestamptz[]
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_times     timestamptz[] := array_fill(null::timestamptz, array[coalesce(cardinality(p_partition_ids), 0)]);
    v_epoch     integer;
    v_places    integer[];
    v_ids       bigint[];
    v_offsets   bigint[];
begin
    for v_epoch, v_places, v_ids, v_offsets in
        -- Recorded epochs are known by their spans, the newest of a partition by where it begins.
        select w.epoch, array_agg(w.n), array_agg(w.partition_id), array_agg(w."offset")
          from (select u.n::integer as n, u.partition_id, u."offset",
                       coalesce(s.epoch, case when u."offset" >= p.epoch_first_offset then p.epoch end) as epoch
                  from unnest(p_partition_ids, p_offsets) with ordinality u (partition_id, "offset", n)
                 cross join lateral (select t.epoch, t.epoch_first_offset from partitions t
                                      where t.partition_id = u.partition_id and u."offset" < t.next_offset) p
                  left join lateral (select t.epoch from spans t
                                      where t.partition_id = u.partition_id and t.last_offset >= u."offset"
                                      order by t.partition_id, t.epoch limit 1) s on true) w
         group by w.epoch
    loop
        if v_epoch is not null then
            v_times := stored_in(v_epoch, v_places, v_ids, v_offsets, v_times);
        else
            -- Older than the newest of a partition, and not recorded yet: in the one or two epochs before it.
            for v_epoch in select e.epoch from epochs e where e.recorded_at is null order by e.epoch loop
                v_times := stored_in(v_epoch, v_places, v_ids, v_offsets, v_times);
            end loop;
        end if;
    end loop;
    return v_times;
end
$$;
