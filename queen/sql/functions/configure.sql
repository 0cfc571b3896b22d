-- configure(queue, namespace, task, replace, options) → the queue's row with its effective options
-- Creates or changes a queue. `options` holds what was named: a value sets it, null restores the default; with
-- `replace` everything not named goes back to its default. Null namespace or task: as it is, '' for a new queue.
-- Two calls on one queue go one after the other.
-- Tables written, in lock order: counters, queues.
create or replace function configure(p_queue text, p_namespace text, p_task text, p_replace boolean, p_options jsonb)
returns table (queue_id integer, namespace text, task text, options jsonb)
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
    v_id        integer := ensure_queue(p_queue, coalesce(p_namespace, ''), coalesce(p_task, ''));
    v_options   jsonb;
begin
    select case when p_replace then '{}' else q.options end into v_options
      from queues q where q.queue_id = v_id for no key update;
    v_options := jsonb_strip_nulls(v_options || p_options);
    return query
    update queues q
       set namespace = coalesce(p_namespace, q.namespace), task = coalesce(p_task, q.task), options = v_options,
           dedup_window_s = ((default_options() || v_options) ->> 'dedupWindowSeconds')::integer
     where q.queue_id = v_id
    returning q.queue_id, q.namespace, q.task, default_options() || q.options;
end
$$;
