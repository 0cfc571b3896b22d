-- ensure_queue(name, namespace, task) → queue_id
-- Creates a queue with default options when it is missing. A null namespace or task is taken from the name.
-- Tables written, in lock order: counters, queues.
create or replace function ensure_queue(p_name text, p_namespace text, p_task text) returns integer
language plpgsql set search_path from current as $$
declare
    v_id integer;
begin
    select queue_id into v_id from queues where name = p_name;
    if v_id is null then
        insert into queues (queue_id, name, namespace, task, dedup_window_s)
        values (take_ids('queue', 1)::integer, p_name, coalesce(p_namespace, split_part(p_name, '.', 1)),
                coalesce(p_task, split_part(p_name, '.', 2)), (default_options() ->> 'dedupWindowSeconds')::integer)
        on conflict (name) do nothing;
        select queue_id into v_id from queues where name = p_name;
    end if;
    return v_id;
end
$$;
