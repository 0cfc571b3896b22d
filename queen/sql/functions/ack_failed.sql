-- ack_failed(partition_ids, groups, lease_ids, completed, retried, failed, dead, errors) → rows like ack(), with
-- dead_letter_id and dead_offset
--
-- Acks with `failed` or `dlq` in them, by the rules of http-api.md §4.4 step 5. Same shape as ack():
--   completed         highest offset completed, or null
--   retried, failed, dead   lowest offset signalled retry, failed, dlq, or null
--   errors            what to write on a dead letter, or null
-- The lowest signal rules; at one position dlq beats failed beats retry. `failed` charges the retry counter once a
-- call; when the limit is reached, or for dlq, the message goes to dead_letters (unless the queue has both its switches
-- off) and the cursor passes it. Entries without a row changed nothing, as in ack().
-- Failures are the exception: this walks its entries one by one, in the order of the locks.
-- Tables written, in lock order: cursors (by partition, group), counters, dead_letters.
create or replace function ack_failed(
    p_partition_ids bigint[], p_groups text[], p_lease_ids uuid[], p_completed bigint[], p_retried bigint[],
    p_failed bigint[], p_dead bigint[], p_errors text[]
) returns table (place integer, acked_was bigint, acked bigint, released boolean, dead_letter_id bigint,
                 dead_offset bigint, held_ms bigint)
language plpgsql set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    r           record;
    v_options   jsonb;
    v_explicit  jsonb;
    v_signal    bigint;
    v_base      bigint;
    v_bury      boolean;
begin
    for r in
        select i.*, i.n::integer as at, c.acked as was, c.retries, q.options, q.queue_id
          from unnest(p_partition_ids, p_groups, p_lease_ids, p_completed, p_retried, p_failed, p_dead, p_errors)
               with ordinality i (partition_id, consumer_group, lease_id, completed, retried, failed, dead, error, n)
         cross join lateral (
                select t.acked, t.retries from cursors t
                 where t.partition_id = i.partition_id and t.consumer_group = i.consumer_group
                   and (i.lease_id is null or (t.lease_id = i.lease_id and t.lease_until > now()))
                   for no key update) c
          join partitions p on p.partition_id = i.partition_id
          join queues q on q.queue_id = p.queue_id
         order by i.n
    loop
        v_signal := least(r.retried, r.failed, r.dead);
        continue when v_signal <= r.was;
        v_explicit := r.options;
        v_options := default_options() || v_explicit;
        v_base := greatest(r.was, case when r.completed > v_signal then v_signal - 1 else r.completed end);
        v_bury := r.dead = v_signal
                  or (r.failed = v_signal and r.retries >= (v_options ->> 'retryLimit')::integer);
        place := r.at; acked_was := r.was; released := true; dead_letter_id := null; dead_offset := null; held_ms := null;
        if v_bury then
            acked := v_signal;
            dead_offset := v_signal;
            if (v_options ->> 'deadLetterQueue')::boolean or (v_options ->> 'dlqAfterMaxRetries')::boolean then
                dead_letter_id := bury(r.partition_id, v_signal, r.consumer_group,
                                       coalesce(r.error, 'Retries exhausted'), r.retries);
            end if;
        else
            acked := v_base;
            -- A retryDelay counts only when it was set for the queue; its default is shown but never applied.
            held_ms := case when r.failed = v_signal then (v_explicit ->> 'retryDelay')::bigint end;
        end if;
        update cursors c
           set acked_was = r.was, acked = ack_failed.acked, lease_id = null,
               lease_until = case when held_ms > 0 then now() + held_ms * interval '1 millisecond' end,
               deliveries = case when ack_failed.acked >= c.lease_end then 0 else c.deliveries end,
               retries = case when v_bury then 0 when r.failed = v_signal then c.retries + 1 else c.retries end
         where c.partition_id = r.partition_id and c.consumer_group = r.consumer_group;
        return next;
    end loop;
end
$$;
