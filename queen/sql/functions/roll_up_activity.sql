-- roll_up_activity(minutes_kept_ms, hours_kept_ms, limit) → number of rows that were taken away
-- Adds minutes of whole hours that are older than `minutes_kept_ms` to their hours, and removes them; removes hours that
-- are older than `hours_kept_ms`, and what is known of instances with the minutes. At most `limit` of each, the oldest
-- first: called again until it returns less. An hour may be rolled up in several steps, since each adds to it.
-- Called by the leader; two callers at once take different rows.
-- Tables written, in lock order: activity, activity_hours, instance_activity.
create or replace function roll_up_activity(p_minutes_kept_ms bigint, p_hours_kept_ms bigint, p_limit integer)
returns bigint
language plpgsql set search_path from current set enable_seqscan = off as $$
declare
    v_now       timestamptz := clock_timestamp();
    v_minutes   timestamptz := date_bin('1 hour', v_now - p_minutes_kept_ms * interval '1 millisecond', '2000-01-01Z');
    v_hours     timestamptz := v_now - p_hours_kept_ms * interval '1 millisecond';
    v_count     bigint;
    v_total     bigint;
begin
    perform set_config('synchronous_commit', 'off', true);
    with old as (
        select a.queue_id, a.bucket, a.instance_id from activity a
         where a.bucket < v_minutes order by a.bucket limit p_limit for update skip locked
    ), gone as (
        delete from activity a using old o
         where a.queue_id = o.queue_id and a.bucket = o.bucket and a.instance_id = o.instance_id
        returning a.*
    ), rolled as (
        insert into activity_hours as h
               (queue_id, bucket, push_requests, push_messages, pop_requests, pop_messages, pop_empty, ack_requests,
                ack_success, ack_failed, ack_rejected, transactions, dead_letters, lag_count, parked, messages_hidden,
                epochs_dropped, lag_ms_sum, lag_ms_max)
        select g.queue_id, date_bin('1 hour', g.bucket, '2000-01-01Z'), sum(g.push_requests), sum(g.push_messages),
               sum(g.pop_requests), sum(g.pop_messages), sum(g.pop_empty), sum(g.ack_requests), sum(g.ack_success),
               sum(g.ack_failed), sum(g.ack_rejected), sum(g.transactions), sum(g.dead_letters), sum(g.lag_count),
               sum(g.parked), sum(g.messages_hidden), sum(g.epochs_dropped), sum(g.lag_ms_sum), max(g.lag_ms_max)
          from gone g group by 1, 2 order by 1, 2
        on conflict (queue_id, bucket) do update
           set push_requests = h.push_requests + excluded.push_requests,
               push_messages = h.push_messages + excluded.push_messages,
               pop_requests = h.pop_requests + excluded.pop_requests,
               pop_messages = h.pop_messages + excluded.pop_messages,
               pop_empty = h.pop_empty + excluded.pop_empty,
               ack_requests = h.ack_requests + excluded.ack_requests,
               ack_success = h.ack_success + excluded.ack_success,
               ack_failed = h.ack_failed + excluded.ack_failed,
               ack_rejected = h.ack_rejected + excluded.ack_rejected,
               transactions = h.transactions + excluded.transactions,
               dead_letters = h.dead_letters + excluded.dead_letters,
               lag_count = h.lag_count + excluded.lag_count,
               parked = h.parked + excluded.parked,
               messages_hidden = h.messages_hidden + excluded.messages_hidden,
               epochs_dropped = h.epochs_dropped + excluded.epochs_dropped,
               lag_ms_sum = h.lag_ms_sum + excluded.lag_ms_sum,
               lag_ms_max = greatest(h.lag_ms_max, excluded.lag_ms_max)
    )
    select count(*) into v_total from gone;

    delete from activity_hours h
     using (select d.queue_id, d.bucket from activity_hours d
             where d.bucket < v_hours order by d.bucket limit p_limit for update skip locked) o
     where h.queue_id = o.queue_id and h.bucket = o.bucket;
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;

    delete from instance_activity i
     using (select d.bucket, d.instance_id from instance_activity d
             where d.bucket < v_minutes order by d.bucket limit p_limit for update skip locked) o
     where i.bucket = o.bucket and i.instance_id = o.instance_id;
    get diagnostics v_count = row_count;
    return v_total + v_count;
end
$$;
