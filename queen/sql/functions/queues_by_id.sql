-- queues_by_id(queue_ids) → the columns of find_queues(), for those that exist, in no order
create or replace function queues_by_id(p_queue_ids integer[])
returns table (queue_id integer, name text, namespace text, task text, options jsonb, created_at timestamptz)
language sql stable set search_path from current as $$
    select q.queue_id, q.name, q.namespace, q.task, default_options() || q.options as options, q.created_at
      from queues q
     where q.queue_id = any (p_queue_ids)
$$;
