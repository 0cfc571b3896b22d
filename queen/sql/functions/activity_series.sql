-- activity_series(queue_ids, from, to, minutes, instance_id, since) → one row per queue and bucket of so many minutes
-- What was done from `from` up to before `to`, by the minute where that is kept and by the hour before; 0 among the ids
-- stands for all queues together. Rows of `instance_id` from `since` on are left out: that server has them in memory.
-- A queue's part is one range of an index, hence OFFSET 0, which keeps the planner from joining ranges of all queues.
create or replace function activity_series(p_queue_ids integer[], p_from timestamptz, p_to timestamptz,
                                           p_minutes integer, p_instance_id uuid, p_since timestamptz)
returns table (queue_id integer, bucket timestamptz, push_requests bigint, push_messages bigint, pop_requests bigint,
               pop_messages bigint, pop_empty bigint, ack_requests bigint, ack_success bigint, ack_failed bigint,
               ack_rejected bigint, transactions bigint, dead_letters bigint, lag_count bigint, parked bigint,
               messages_hidden bigint, epochs_dropped bigint, lag_ms_sum double precision, lag_ms_max double precision)
language sql stable set search_path from current set enable_seqscan = off as $$
    select s.queue_id, date_bin(p_minutes * interval '1 minute', s.bucket, '2000-01-01Z') as bucket,
           sum(s.push_requests)::bigint, sum(s.push_messages)::bigint, sum(s.pop_requests)::bigint,
           sum(s.pop_messages)::bigint, sum(s.pop_empty)::bigint, sum(s.ack_requests)::bigint,
           sum(s.ack_success)::bigint, sum(s.ack_failed)::bigint, sum(s.ack_rejected)::bigint,
           sum(s.transactions)::bigint, sum(s.dead_letters)::bigint, sum(s.lag_count)::bigint, sum(s.parked)::bigint,
           sum(s.messages_hidden)::bigint, sum(s.epochs_dropped)::bigint, sum(s.lag_ms_sum),
           max(s.lag_ms_max)
      from unnest(p_queue_ids) q (id)
     cross join lateral (
            (select a.queue_id, a.bucket, a.push_requests::bigint, a.push_messages, a.pop_requests, a.pop_messages,
                    a.pop_empty, a.ack_requests, a.ack_success, a.ack_failed, a.ack_rejected, a.transactions,
                    a.dead_letters, a.lag_count, a.parked, a.messages_hidden, a.epochs_dropped, a.lag_ms_sum,
                    a.lag_ms_max
               from activity a
              where a.queue_id = q.id and a.bucket >= p_from and a.bucket < p_to
                and not (a.instance_id = p_instance_id and a.bucket >= p_since)
             offset 0)
            union all
            (select h.queue_id, h.bucket, h.push_requests, h.push_messages, h.pop_requests, h.pop_messages,
                    h.pop_empty, h.ack_requests, h.ack_success, h.ack_failed, h.ack_rejected, h.transactions,
                    h.dead_letters, h.lag_count, h.parked, h.messages_hidden, h.epochs_dropped, h.lag_ms_sum,
                    h.lag_ms_max
               from activity_hours h
              where h.queue_id = q.id and h.bucket >= p_from and h.bucket < p_to
             offset 0)) s
     group by 1, 2
     order by 2, 1
$$;
