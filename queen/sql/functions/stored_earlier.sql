-- stored_earlier(epoch, queue_ids, partition_ids, onces, places, transaction_ids) → true when an older epoch holds one
--
-- For push() while several epochs are alive: does a child below `epoch` hold one of these transaction ids? Parameters
-- are those of push(); queue_ids and onces have one entry per partition, onces says whether it deduplicates.
-- Only children that may hold a message of the longest window of these queues are asked, each by a statement with its
-- name in it: a look-up through the parent would open every child. A message may carry a time after its child's end, when
-- it waited for a lock while the next one was opened; but what a recorded child holds was stored before it was recorded.
create or replace function stored_earlier(
    p_epoch integer, p_queue_ids integer[], p_partition_ids bigint[], p_onces boolean[], p_places integer[],
    p_transaction_ids text[]
) returns boolean
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_window    interval;
    v_child     integer;
    v_found     boolean;
begin
    select max(q.dedup_window_s) * interval '1 second' into v_window
      from queues q where q.queue_id = any (p_queue_ids) and q.dedup_window_s > 0;
    for v_child in
        select e.epoch from epochs e
         where e.epoch < p_epoch and coalesce(e.recorded_at, now()) > now() - v_window and e.emptied_at is null
         order by e.epoch desc
    loop
        execute format('select exists (
                            select from unnest($1, $2) i (place, transaction_id)
                             cross join lateral (
                                   select from messages_%s m
                                    where m.transaction_id = i.transaction_id and m.partition_id = $3[i.place] and m.once
                                    limit 1) m
                             where $4[i.place])', v_child)
           into v_found using p_places, p_transaction_ids, p_partition_ids, p_onces;
        if v_found then
            return true;
        end if;
    end loop;
    return false;
end
$$;
