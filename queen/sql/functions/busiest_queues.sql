-- busiest_queues(since, limit) → the queues with most messages pushed, popped and acked in the minutes since then
-- Reads every queue's rows of these minutes: ask for few minutes.
create or replace function busiest_queues(p_since timestamptz, p_limit integer)
returns table (queue_id integer, name text, push_messages bigint, pop_messages bigint, ack_success bigint)
language sql stable set search_path from current set enable_seqscan = off as $$
    select s.queue_id, q.name, s.push_messages, s.pop_messages, s.ack_success
      from (select a.queue_id, sum(a.push_messages) as push_messages, sum(a.pop_messages) as pop_messages,
                   sum(a.ack_success) as ack_success
              from activity a
             where a.bucket >= p_since and a.queue_id <> 0
             group by 1
             order by sum(a.push_messages + a.pop_messages + a.ack_success) desc, 1
             limit p_limit) s
      join queues q on q.queue_id = s.queue_id
     order by s.push_messages + s.pop_messages + s.ack_success desc, q.name
$$;
