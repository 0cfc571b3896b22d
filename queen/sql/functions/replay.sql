-- replay(dead_letter_ids, transaction_ids, partition_id) → one row per record that is there, in no order
--
-- Moves dead letters back: each payload is pushed under its transaction id to the end of its own partition, or of
-- `partition_id` when that is not null, and its record is removed. All in one transaction; within a partition in the
-- order of the records.
-- Columns: dead_letter_id, partition_id, "offset" (of the new message; for a duplicate that of the stored one),
-- duplicate. A duplicate keeps its record. A record without a row is gone.
-- Raises, and keeps nothing: QN003 when `partition_id` is gone, QN004 when a record was taken by somebody else meanwhile.
-- The records are read before anything is locked and removed last: partitions are locked before dead_letters everywhere.
-- Tables written, in lock order: partitions (by id), messages, dead_letters.
create or replace function replay(p_dead_letter_ids bigint[], p_transaction_ids text[], p_partition_id bigint)
returns table (dead_letter_id bigint, partition_id bigint, "offset" bigint, duplicate boolean)
language plpgsql set search_path from current set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_ids           bigint[];
    v_targets       bigint[];
    v_txids         text[];
    v_payloads      text[];
    v_trace_ids     uuid[];
    v_subs          text[];
    v_partitions    bigint[];
    v_counts        integer[];
    v_places        integer[];
    v_offsets       bigint[];
    v_duplicates    boolean[];
    v_moved         bigint[];
    v_removed       bigint;
begin
    select array_agg(r.dead_letter_id order by r.target, r.dead_letter_id),
           array_agg(r.target order by r.target, r.dead_letter_id),
           array_agg(r.transaction_id order by r.target, r.dead_letter_id),
           array_agg(r.payload order by r.target, r.dead_letter_id),
           array_agg(r.trace_id order by r.target, r.dead_letter_id),
           array_agg(r.producer_sub order by r.target, r.dead_letter_id)
      into v_ids, v_targets, v_txids, v_payloads, v_trace_ids, v_subs
      from (select d.dead_letter_id, coalesce(p_partition_id, d.partition_id) as target, u.transaction_id, d.payload,
                   d.trace_id, d.producer_sub
              from (select distinct on (i.id) i.id, i.transaction_id
                      from unnest(p_dead_letter_ids, p_transaction_ids) i (id, transaction_id)) u
             cross join lateral (select t.* from dead_letters t where t.dead_letter_id = u.id) d) r;
    if v_ids is null then
        return;
    end if;
    select array_agg(t.target order by t.target), array_agg(t.count order by t.target)
      into v_partitions, v_counts
      from (select u.target, count(*)::integer as count from unnest(v_targets) u (target) group by 1) t;
    select array_agg(array_position(v_partitions, u.target) order by u.n) into v_places
      from unnest(v_targets) with ordinality u (target, n);

    select array_agg(s."offset" order by s.n), array_agg(s.duplicate order by s.n) into v_offsets, v_duplicates
      from push_deduplicating(v_partitions, v_counts, v_places, v_txids, v_payloads, v_trace_ids, v_subs) s;
    if p_partition_id is not null and array_position(v_offsets, null) is not null then
        raise exception 'partition is gone' using errcode = 'QN003';
    end if;

    -- A record whose own partition is gone went with it.
    select array_agg(u.id) into v_moved
      from unnest(v_ids, v_offsets, v_duplicates) u (id, "offset", duplicate)
     where u."offset" is not null and not u.duplicate;
    perform from dead_letters d where d.dead_letter_id = any (v_moved) order by d.dead_letter_id for update;
    delete from dead_letters d where d.dead_letter_id = any (v_moved);
    get diagnostics v_removed = row_count;
    if v_removed < coalesce(cardinality(v_moved), 0) then
        raise exception 'a dead letter was taken meanwhile' using errcode = 'QN004';
    end if;
    -- What is a duplicate of somebody else's replay of the same record is gone too.
    return query
    select u.id, u.target, u."offset", u.duplicate
      from unnest(v_ids, v_targets, v_offsets, v_duplicates) u (id, target, "offset", duplicate)
     where u."offset" is not null
       and (not u.duplicate or exists (select from dead_letters d where d.dead_letter_id = u.id));
end
$$;
