-- scheduled_keys(partition_id, limit) → messages of a partition outside the order, the ones stored last first
-- Columns: "offset", epoch, created_at. A partition that never had one costs one look-up.
create or replace function scheduled_keys(p_partition_id bigint, p_limit integer)
returns table ("offset" bigint, epoch integer, created_at timestamptz)
language plpgsql stable set search_path from current set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_epoch integer;
begin
    if not exists (select from scheduled_places s where s.partition_id = p_partition_id) then
        return;
    end if;
    for v_epoch in select e.epoch from epochs e where e.emptied_at is null order by e.epoch desc loop
        return query execute format(
            'select m."offset", m.epoch, m.created_at from messages_%s m
              where m.partition_id = $1 and m."offset" < 0
              order by m.partition_id, m."offset" limit $2', v_epoch)
          using p_partition_id, p_limit;
    end loop;
end
$$;
