-- resubscribe(group, start_at) → number of queues the group is registered on
-- From now on, partitions that the group has not touched start at this time. No cursor moves.
-- Tables written: subscriptions (by queue).
create or replace function resubscribe(p_group text, p_start_at timestamptz) returns bigint
language plpgsql set search_path from current as $$
declare
    v_count bigint;
begin
    perform from subscriptions where consumer_group = p_group order by queue_id for no key update;
    update subscriptions set mode = 'timestamp', start_at = p_start_at where consumer_group = p_group;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;
