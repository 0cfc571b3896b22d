-- record_activity(instance_id, bucket, rows, hostname, port, worker, metrics) → the time, by the clock of the database
-- Writes down what a server did in the minute that began at `bucket`: `rows` is a JSON array of rows of `activity`
-- without their bucket and instance_id, `metrics` (null: none) the row of `instance_activity`. A second call for the same
-- minute changes nothing, so one whose outcome is unknown may be repeated. An empty array only asks for the time.
-- The commit is not waited for (synchronous_commit): these are numbers to look at.
-- Tables written: activity, instance_activity.
create or replace function record_activity(p_instance_id uuid, p_bucket timestamptz, p_rows jsonb, p_hostname text,
                                           p_port integer, p_worker integer, p_metrics jsonb) returns timestamptz
language plpgsql set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into activity (queue_id, bucket, instance_id, push_requests, push_messages, pop_requests, pop_messages,
                          pop_empty, ack_requests, ack_success, ack_failed, ack_rejected, transactions, dead_letters,
                          lag_count, parked, messages_hidden, epochs_dropped, lag_ms_sum, lag_ms_max)
    select r.queue_id, p_bucket, p_instance_id, r.push_requests, r.push_messages, r.pop_requests, r.pop_messages,
           r.pop_empty, r.ack_requests, r.ack_success, r.ack_failed, r.ack_rejected, r.transactions, r.dead_letters,
           r.lag_count, r.parked, r.messages_hidden, r.epochs_dropped, r.lag_ms_sum, r.lag_ms_max
      from jsonb_populate_recordset(null::activity, p_rows) r
    on conflict do nothing;
    if p_metrics is not null then
        insert into instance_activity (bucket, instance_id, port, worker, hostname, metrics)
        values (p_bucket, p_instance_id, p_port, p_worker, p_hostname, p_metrics)
        on conflict do nothing;
    end if;
    return clock_timestamp();
end
$$;
