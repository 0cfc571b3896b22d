-- newest_keys(partition_id, low, high, from, limit) → messages of a partition with low <= offset < high, the last ones
-- first; those stored before `from` (null: no bound) are left out
-- Columns: "offset", epoch, created_at. Children that hold none of them, by what is written down, are not asked.
create or replace function newest_keys(
    p_partition_id bigint, p_low bigint, p_high bigint, p_from timestamptz, p_limit integer
)
returns table ("offset" bigint, epoch integer, created_at timestamptz)
language plpgsql stable set search_path from current set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_epoch integer;
    v_left  integer := p_limit;
    m       record;
begin
    if p_low >= p_high then
        return;
    end if;
    for v_epoch in
        select e.epoch from epochs e
         where e.emptied_at is null
           and (e.recorded_at is null
                or exists (select from spans s
                            where s.epoch = e.epoch and s.partition_id = p_partition_id and s.last_offset >= p_low
                              and s.first_offset < p_high))
           and (p_from is null or e.closed_at is null or coalesce(e.recorded_at, now()) >= p_from)
         order by e.epoch desc
    loop
        for m in execute format(
            'select m."offset", m.created_at from messages_%s m
              where m.partition_id = $1 and m."offset" >= $2 and m."offset" < $3
              order by m.partition_id desc, m."offset" desc limit $4', v_epoch)
          using p_partition_id, p_low, p_high, v_left
        loop
            -- created_at never increases on the way back.
            if m.created_at < p_from then
                return;
            end if;
            "offset" := m."offset"; epoch := v_epoch; created_at := m.created_at;
            return next;
            v_left := v_left - 1;
        end loop;
        exit when v_left <= 0;
    end loop;
end
$$;
