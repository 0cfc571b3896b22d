-- offsets_at(partition_ids, at) → one row per partition, in no order: partition_id, found, epoch
-- offset_at() for many partitions at once: the first message stored at or after a time, the next offset to be assigned
-- if there is none, the oldest kept if all are younger. `epoch` is the one that holds it, null for the newest.
-- One statement per child searches all partitions together, because a statement for each look-up is far dearer than the
-- look-up. A partition that is gone has no row.
create or replace function offsets_at(p_partition_ids bigint[], p_at timestamptz)
returns table (partition_id bigint, found bigint, epoch integer)
language plpgsql stable set search_path from current set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_ids   bigint[];       -- what is left to be searched, with the range: below `low` all is older
    v_lows  bigint[];
    v_here  bigint[];       -- of it, what lies in one child, and where it ends there
    v_firsts bigint[];
    v_lasts bigint[];
    v_epoch integer;
begin
    return query
    select p.partition_id, case when p.last_write_at < p_at then p.next_offset else p.first_offset end,
           case when p.last_write_at >= p_at then epoch_of(p.partition_id, p.first_offset) end
      from partitions p
     where p.partition_id = any (p_partition_ids) and (p.last_write_at < p_at or p.first_at >= p_at);
    -- Closed epochs first: their spans tell where each partition's last message is not older.
    for v_epoch, v_here, v_firsts, v_lasts in
        select s.epoch, array_agg(p.partition_id), array_agg(greatest(p.first_offset, s.first_offset)),
               array_agg(s.last_offset)
          from partitions p
         cross join lateral (
                select t.epoch, t.first_offset, t.last_offset from spans t
                 where t.partition_id = p.partition_id and t.last_at >= p_at and t.last_offset >= p.first_offset
                 order by t.partition_id, t.epoch limit 1) s
         where p.partition_id = any (p_partition_ids) and p.last_write_at >= p_at and p.first_at < p_at
         group by s.epoch
    loop
        return query select * from search_child(v_epoch, v_here, v_firsts, v_lasts, p_at);
    end loop;
    select array_agg(p.partition_id), array_agg(p.first_offset) into v_ids, v_lows
      from partitions p
     where p.partition_id = any (p_partition_ids) and p.last_write_at >= p_at and p.first_at < p_at
       and not exists (select from spans t
                        where t.partition_id = p.partition_id and t.last_at >= p_at and t.last_offset >= p.first_offset);
    for v_epoch in select e.epoch from epochs e where e.recorded_at is null order by e.epoch loop
        exit when v_ids is null;
        execute format('select array_agg(u.partition_id) filter (where m.created_at >= $3),
                               array_agg(u.low) filter (where m.created_at >= $3),
                               array_agg(m."offset") filter (where m.created_at >= $3),
                               array_agg(u.partition_id) filter (where m.created_at is null or m.created_at < $3),
                               array_agg(coalesce(m."offset" + 1, u.low))
                                    filter (where m.created_at is null or m.created_at < $3)
                          from unnest($1, $2) u (partition_id, low)
                          left join lateral (
                                select t."offset", t.created_at from messages_%s t
                                 where t.partition_id = u.partition_id and t."offset" >= u.low
                                 order by t.partition_id desc, t."offset" desc limit 1) m on true', v_epoch)
           into v_here, v_firsts, v_lasts, v_ids, v_lows using v_ids, v_lows, p_at;
        if v_here is not null then
            return query select * from search_child(v_epoch, v_here, v_firsts, v_lasts, p_at);
        end if;
    end loop;
    -- Nothing that can be delivered is that young.
    return query
    select p.partition_id, p.next_offset, null::integer from partitions p where p.partition_id = any (v_ids);
end
$$;
