-- ack(partition_ids, groups, lease_ids, completed, retried, spots) → one row per cursor that took its ack
--
-- Moves cursors for acks with `completed` and `retry`; acks with `failed` or `dlq` go to ack_failed(). One entry per
-- (partition, group), in ascending order, at most one for each pair.
--   lease_ids   the fencing id that must be live, or null: no check
--   completed   highest offset acked with completed, or null
--   retried     lowest offset given back with retry, or null
--   spots       where the cursors' rows lay last (ctid), null for unknown ones; a hint as in push()
-- Columns: place (counted from 1), acked_was and acked (before and after), released: the lease ended by this call, spot:
-- where the row lies now.
-- An entry without a row changed nothing: its lease is not live, there is no such cursor, or `retried` is already
-- behind the cursor; examine() tells which. Rules: everything below the highest completed is done with it, but never
-- beyond what was given back; the end of the leased span releases the lease and clears the counters; a retry releases
-- it and charges nothing.
-- The rules stand here twice, once for each way to a row: by its place, and by key for what was not found there (no hint,
-- or the row moved, perhaps while the first way waited for it). The second way is not gone when the first found all.
-- What the first way did is told by xmin: within a savepoint, whose rows bear another, the second would do it again.
-- Tables written, in lock order: cursors (by partition, group).
create or replace function ack(
    p_partition_ids bigint[], p_groups text[], p_lease_ids uuid[], p_completed bigint[], p_retried bigint[],
    p_spots tid[] default null
) returns table (place integer, acked_was bigint, acked bigint, released boolean, spot tid)
language plpgsql set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_done integer := 0;
begin
    if p_spots is not null then
        return query
        update cursors c
           set acked_was = c.acked,
               acked = greatest(c.acked, i.target),
               lease_id = case when i.retried is null and greatest(c.acked, i.target) < c.lease_end then c.lease_id end,
               lease_until = case when i.retried is null and greatest(c.acked, i.target) < c.lease_end then c.lease_until end,
               deliveries = case when greatest(c.acked, i.target) < c.lease_end then c.deliveries else 0 end,
               retries = case when i.retried is null and greatest(c.acked, i.target) >= c.lease_end then 0 else c.retries end
          from (select u.*, case when u.completed > u.retried then u.retried - 1 else u.completed end as target
                  from unnest(p_partition_ids, p_groups, p_lease_ids, p_completed, p_retried, p_spots)
                       with ordinality u (partition_id, consumer_group, lease_id, completed, retried, spot, n)
                 order by u.n) i
         where c.ctid = i.spot and c.partition_id = i.partition_id and c.consumer_group = i.consumer_group
           and (i.lease_id is null or (c.lease_id = i.lease_id and c.lease_until > now()))
           and (i.retried is null or i.retried > c.acked)
        returning i.n::integer, c.acked_was, c.acked, c.lease_id is null, c.ctid;
        get diagnostics v_done = row_count;
        if v_done = cardinality(p_partition_ids) then
            return;
        end if;
    end if;
    -- The rest by key. What was done above was changed by this transaction.
    return query
    update cursors c
       set acked_was = c.acked,
           acked = greatest(c.acked, i.target),
           lease_id = case when i.retried is null and greatest(c.acked, i.target) < c.lease_end then c.lease_id end,
           lease_until = case when i.retried is null and greatest(c.acked, i.target) < c.lease_end then c.lease_until end,
           deliveries = case when greatest(c.acked, i.target) < c.lease_end then c.deliveries else 0 end,
           retries = case when i.retried is null and greatest(c.acked, i.target) >= c.lease_end then 0 else c.retries end
      from (select u.*, case when u.completed > u.retried then u.retried - 1 else u.completed end as target
              from unnest(p_partition_ids, p_groups, p_lease_ids, p_completed, p_retried)
                 with ordinality u (partition_id, consumer_group, lease_id, completed, retried, n)
             order by u.n) i
     where c.partition_id = i.partition_id and c.consumer_group = i.consumer_group
       and (v_done = 0 or c.xmin <> pg_current_xact_id()::xid)
       and (i.lease_id is null or (c.lease_id = i.lease_id and c.lease_until > now()))
       and (i.retried is null or i.retried > c.acked)
    returning i.n::integer, c.acked_was, c.acked, c.lease_id is null, c.ctid;
end
$$;
