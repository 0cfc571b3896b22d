-- locate(partition_ids, transaction_ids, from, to) → one row per entry, in input order:
-- the lowest offset in (from, to] that carries the transaction id, else the highest at or below `from`, else null
-- For acks of a lease that another instance handed out, or that name no lease. from and to are the cursor and the end
-- of the leased span; without a lease the end is the partition's newest message. Several entries with the same
-- partition and transaction id mean the lowest position, then the next, and so on. What lies behind the cursor is
-- answered too, so that a repeated ack finds what it acknowledged before. A message that still waits outside the order,
-- under a negative offset, was never delivered and is not found.
-- "offset 0" keeps the bounds out of the inner reads: with them, the planner may walk the primary key through the whole
-- backlog and compare transaction ids, where the index on them has the one row.
create or replace function locate(
    p_partition_ids bigint[], p_transaction_ids text[], p_from bigint[], p_to bigint[]
) returns table ("offset" bigint)
language plpgsql stable set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query
    select coalesce(ahead."offset", behind."offset")
      from (select u.*, row_number() over (partition by u.partition_id, u.transaction_id order by u.n) - 1 as nth
              from unnest(p_partition_ids, p_transaction_ids, p_from, p_to)
                   with ordinality u (partition_id, transaction_id, low, high, n)) u
      left join lateral (
            select r."offset"
              from (select m."offset" from messages m
                     where m.transaction_id = u.transaction_id and m.partition_id = u.partition_id offset 0) r
             where r."offset" > u.low and r."offset" <= u.high
             order by r."offset" limit 1 offset u.nth) ahead on true
      left join lateral (
            select r."offset"
              from (select m."offset" from messages m
                     where m.transaction_id = u.transaction_id and m.partition_id = u.partition_id offset 0) r
             where ahead."offset" is null and r."offset" <= u.low and r."offset" >= 0
             order by r."offset" desc limit 1) behind on true
     order by u.n;
end
$$;
