-- transact(push parameters…, ack parameters…, failed parameters…, scheduled_ats, delays_ms) → one row per pushed message and per acked cursor
--
-- Pushes and acks together or not at all: the parameters are those of push_deduplicating(), ack() and ack_failed().
-- Raises, and keeps nothing:
--   QN001, detail n    message n (counted from 1) carries a transaction id that was stored before this call
--   QN002              an ack or failure changed nothing: its lease, its cursor or its position is wrong
--   QN003, detail n    the partition of message n is gone
-- Two equal transaction ids inside the call are no error: the first wins, the second is told as its duplicate.
-- Columns: kind (push, ack, failed), place, and what the three functions return of it; held_ms of a push is its due_ms.
-- Tables written, in lock order: partitions (by id), scheduled_places, messages, cursors (by partition, group; acks before failures),
-- counters, dead_letters.
create or replace function transact(
    p_partition_ids bigint[], p_counts integer[], p_places integer[], p_transaction_ids text[], p_payloads text[],
    p_trace_ids uuid[], p_producer_subs text[],
    p_ack_partition_ids bigint[], p_ack_groups text[], p_ack_lease_ids uuid[], p_ack_completed bigint[],
    p_ack_retried bigint[],
    p_failed_partition_ids bigint[], p_failed_groups text[], p_failed_lease_ids uuid[], p_failed_completed bigint[],
    p_failed_retried bigint[], p_failed_failed bigint[], p_failed_dead bigint[], p_failed_errors text[],
    p_scheduled_ats timestamptz[] default null, p_delays_ms bigint[] default null
) returns table (kind text, place integer, "offset" bigint, duplicate boolean, acked_was bigint, acked bigint,
                 released boolean, dead_letter_id bigint, dead_offset bigint, held_ms bigint)
language plpgsql set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_offsets       bigint[];
    v_duplicates    boolean[];
    v_dues_ms       bigint[];
    v_bad           bigint;
begin
    if cardinality(p_transaction_ids) > 0 then
        select array_agg(s."offset" order by s.n), array_agg(s.duplicate order by s.n),
               array_agg(s.due_ms order by s.n)
          into v_offsets, v_duplicates, v_dues_ms
          from push_deduplicating(p_partition_ids, p_counts, p_places, p_transaction_ids, p_payloads, p_trace_ids,
                                  p_producer_subs, true, p_scheduled_ats, p_delays_ms) s;
        v_bad := array_position(v_offsets, null);
        if v_bad is not null then
            raise exception 'partition is gone' using errcode = 'QN003', detail = v_bad;
        end if;
        select min(d.n) into v_bad
          from unnest(p_places, v_offsets, v_duplicates) with ordinality d (place, "offset", duplicate, n)
         where d.duplicate and not exists (
                select from unnest(p_places, v_offsets, v_duplicates) f (place, "offset", duplicate)
                 where not f.duplicate and f.place = d.place and f."offset" = d."offset");
        if v_bad is not null then
            raise exception 'transaction id is stored already' using errcode = 'QN001', detail = v_bad;
        end if;
        return query
        select 'push', u.n::integer, u."offset", u.duplicate, null::bigint, null::bigint, null::boolean, null::bigint,
               null::bigint, u.due_ms
          from unnest(v_offsets, v_duplicates, v_dues_ms) with ordinality u ("offset", duplicate, due_ms, n)
         order by u.n;
    end if;
    if cardinality(p_ack_partition_ids) > 0 then
        return query
        select 'ack', a.place, null::bigint, null::boolean, a.acked_was, a.acked, a.released, null::bigint, null::bigint,
               null::bigint
          from ack(p_ack_partition_ids, p_ack_groups, p_ack_lease_ids, p_ack_completed, p_ack_retried) a;
        get diagnostics v_bad = row_count;
        if v_bad < cardinality(p_ack_partition_ids) then
            raise exception 'an ack changed nothing' using errcode = 'QN002';
        end if;
    end if;
    if cardinality(p_failed_partition_ids) > 0 then
        return query
        select 'failed', a.place, null::bigint, null::boolean, a.acked_was, a.acked, a.released, a.dead_letter_id,
               a.dead_offset, a.held_ms
          from ack_failed(p_failed_partition_ids, p_failed_groups, p_failed_lease_ids, p_failed_completed,
                          p_failed_retried, p_failed_failed, p_failed_dead, p_failed_errors) a;
        get diagnostics v_bad = row_count;
        if v_bad < cardinality(p_failed_partition_ids) then
            raise exception 'a failed ack changed nothing' using errcode = 'QN002';
        end if;
    end if;
end
$$;
