-- extend(lease_ids, partition_ids, lease_ms) → one row per lease that is live: place, lease_until
--
-- Moves the end of live leases to the later of what it is and now + lease_ms. An expired lease stays expired.
--   partition_ids   the partition that each lease id names, or 0: a lease over several, found in `leases`
-- place is the entry, counted from 1; a lease over several partitions gives several rows.
-- Tables written: cursors (by partition).
create or replace function extend(p_lease_ids uuid[], p_partition_ids bigint[], p_lease_ms bigint[])
returns table (place integer, lease_until timestamptz)
language plpgsql set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query
    update cursors c
       set lease_until = greatest(c.lease_until, now() + i.lease_ms * interval '1 millisecond')
      from (select u.n, u.lease_id, u.lease_ms, coalesce(l.partition_id, u.partition_id) as partition_id
              from unnest(p_lease_ids, p_partition_ids, p_lease_ms)
                   with ordinality u (lease_id, partition_id, lease_ms, n)
              left join lateral (
                    select unnest(s.partition_ids) as partition_id from leases s where s.lease_id = u.lease_id) l
                on u.partition_id = 0
             order by 4) i
     where c.partition_id = i.partition_id and c.lease_id = i.lease_id and c.lease_until > now()
    returning i.n::integer, c.lease_until;
end
$$;
