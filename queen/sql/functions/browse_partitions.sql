-- browse_partitions(partition_ids, status, from, to, limit) → messages of these partitions, newest first
--   status      pending, processing or completed: a range of offsets between cursor and lease; scheduled; null: any
--   from, to    stored at or after, and before; null: no bound
-- Columns: partition_id, "offset", epoch, created_at. Exact: of each child, the newest first, ranges of the primary key,
-- of each partition no more than `limit`, merged by the time of storing. It ends at the child that was recorded before
-- the last message of the page was stored: what a recorded child holds is older than its record.
create or replace function browse_partitions(
    p_partition_ids bigint[], p_status text, p_from timestamptz, p_to timestamptz, p_limit integer
) returns table (partition_id bigint, "offset" bigint, epoch integer, created_at timestamptz)
language plpgsql stable set search_path from current set enable_seqscan = off set enable_hashjoin = off
    set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_ids       bigint[];
    v_lows      bigint[];
    v_highs     bigint[];
    v_parts     bigint[] := '{}';
    v_offsets   bigint[] := '{}';
    v_epochs    integer[] := '{}';
    v_ats       timestamptz[] := '{}';
    v_last      timestamptz;        -- created_at of the last message of the page; null while it is not full
    e           record;
    m           record;
begin
    select array_agg(w.partition_id), array_agg(w.low), array_agg(w.high) into v_ids, v_lows, v_highs
      from (select p.partition_id,
                   greatest(p.first_offset,
                            case p_status when 'pending' then g.given + 1 when 'processing' then g.done + 1
                                          else 0 end) as low,
                   least(p.next_offset,
                         case p_status when 'completed' then g.done + 1 when 'processing' then g.given + 1 end,
                         case when p_to <= p.last_write_at then offset_at(p.partition_id, p_to) end) as high
              from unnest(p_partition_ids) u (id)
             cross join lateral (select * from partitions t where t.partition_id = u.id) p
             cross join lateral (
                    select c.done, greatest(c.done, c.given) as given
                      from (select coalesce(max(t.acked) filter (where t.consumer_group = '__QUEUE_MODE__'),
                                            min(t.acked), -1) as done,
                                   coalesce(max(t.lease_end) filter (where t.consumer_group = '__QUEUE_MODE__'
                                                        and t.lease_id is not null and t.lease_until > now()),
                                            case when not bool_or(t.consumer_group = '__QUEUE_MODE__') then
                                                max(t.lease_end) filter (
                                                    where t.lease_id is not null and t.lease_until > now())
                                            end) as given
                              from cursors t where t.partition_id = u.id) c) g
             where p_status is distinct from 'scheduled') w
     where w.low < w.high;

    if v_ids is not null then
        for e in
            select t.epoch, t.recorded_at from epochs t
             where t.emptied_at is null and (p_to is null or t.opened_at < p_to)
               and (p_from is null or t.closed_at is null or coalesce(t.recorded_at, now()) >= p_from)
             order by t.epoch desc
        loop
            exit when e.recorded_at < v_last or (v_last is not null and cardinality(v_ids) = 1);
            -- A text is planned anew for each child, so that of one partition is plain. The limit comes before the time:
            -- what is older is not walked through.
            for m in execute format(
                case when cardinality(v_ids) = 1 then
                'select k.* from (
                        select m.partition_id, m."offset", m.created_at from messages_%s m
                         where m.partition_id = $6 and m."offset" >= $7 and m."offset" < $8
                         order by m.partition_id desc, m."offset" desc limit $4) k
                  where $5 is null or k.created_at >= $5'
                else
                'select k.* from unnest($1, $2, $3) u (partition_id, low, high)
                  cross join lateral (
                        select m.partition_id, m."offset", m.created_at from messages_%s m
                         where m.partition_id = u.partition_id and m."offset" >= u.low and m."offset" < u.high
                         order by m.partition_id desc, m."offset" desc limit $4) k
                  where $5 is null or k.created_at >= $5
                  order by k.created_at desc limit $4' end, e.epoch)
              using v_ids, v_lows, v_highs, p_limit, p_from, v_ids[1], v_lows[1], v_highs[1]
            loop
                v_parts := v_parts || m.partition_id;
                v_offsets := v_offsets || m."offset";
                v_epochs := v_epochs || e.epoch;
                v_ats := v_ats || m.created_at;
            end loop;
            if cardinality(v_ats) >= p_limit then
                select u.at into v_last from unnest(v_ats) u (at) order by u.at desc offset p_limit - 1 limit 1;
            end if;
        end loop;
    end if;

    return query
    select k.partition_id, k."offset", k.epoch, k.created_at
      from (select u.* from unnest(v_parts, v_offsets, v_epochs, v_ats) u (partition_id, "offset", epoch, created_at)
             union all
            select u.id, s."offset", s.epoch, s.created_at
              from unnest(p_partition_ids) u (id)
             cross join lateral scheduled_keys(u.id, p_limit) s
             where coalesce(p_status, 'scheduled') = 'scheduled'
               and (p_from is null or s.created_at >= p_from) and (p_to is null or s.created_at < p_to)) k
     order by k.created_at desc, k.partition_id desc, k."offset" desc
     limit p_limit;
end
$$;
