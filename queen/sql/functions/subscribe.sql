-- subscribe(queue_id, group, mode, start_at) → (mode, start_at, created) of the registration that holds
-- Registers a named group on a queue at its first contact; a later call with another start changes nothing.
-- mode: all, new (start at the present moment), timestamp (start at start_at).
-- Tables written: subscriptions.
create or replace function subscribe(p_queue_id integer, p_group text, p_mode text, p_start_at timestamptz)
returns table (mode text, start_at timestamptz, created boolean)
language plpgsql set search_path from current as $$
#variable_conflict use_column
begin
    insert into subscriptions (queue_id, consumer_group, mode, start_at)
    select p_queue_id, p_group, p_mode,
           case p_mode when 'all' then '-infinity' when 'new' then clock_timestamp() else p_start_at end
    on conflict do nothing;
    created := found;
    return query select s.mode, s.start_at, created from subscriptions s
      where s.queue_id = p_queue_id and s.consumer_group = p_group;
end
$$;
