-- record_trace(partition_id, transaction_id, group, event_type, data, names) → trace_id
-- Stores what a handler noted about a message, under distinct names. The message need not exist.
-- The commit is not waited for (synchronous_commit): handlers call this while they hold a lease, and the counts of a
-- name stay locked to the commit.
-- Tables written, in lock order: trace_names (by name), traces, trace_links.
create or replace function record_trace(
    p_partition_id bigint, p_transaction_id text, p_group text, p_event_type text, p_data text, p_names text[]
) returns uuid
language plpgsql set search_path from current set enable_seqscan = off as $$
declare
    v_now   timestamptz := clock_timestamp();
    v_id    uuid := new_trace_id(v_now);
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into trace_names as t (name, last_seen, traces, messages)
    select u.name, v_now, 1, 0 from unnest(p_names) u (name) order by u.name collate "C"
    on conflict (name) do update set last_seen = greatest(t.last_seen, excluded.last_seen), traces = t.traces + 1;
    -- Behind the locks of the names: who traces the same message for the first time too has been waited for.
    update trace_names t set messages = t.messages + 1
     where t.name = any (p_names)
       and not exists (select from trace_links l
                        where l.name = t.name and l.transaction_id = p_transaction_id
                          and l.partition_id = p_partition_id);
    insert into traces (trace_id, partition_id, created_at, transaction_id, consumer_group, event_type, data, names)
    values (v_id, p_partition_id, v_now, p_transaction_id, p_group, p_event_type, p_data, p_names);
    insert into trace_links (name, trace_id, partition_id, transaction_id)
    select u.name, v_id, p_partition_id, p_transaction_id from unnest(p_names) u (name);
    return v_id;
end
$$;
