-- list_queues(name, namespace, task, search, limit, offset) → queue_id, name, namespace, task, created_at
-- find_queues() without the options, which take most of its time. Without sorts a page follows the index on names.
create or replace function list_queues(p_name text, p_namespace text, p_task text, p_search text, p_limit integer, p_offset integer)
returns table (queue_id integer, name text, namespace text, task text, created_at timestamptz)
language sql stable set search_path from current set enable_seqscan = off set enable_sort = off as $$
    select q.queue_id, q.name, q.namespace, q.task, q.created_at
      from queues q
     where (p_name is null or q.name = p_name) and (p_namespace is null or q.namespace = p_namespace)
       and (p_task is null or q.task = p_task) and (p_search is null or position(lower(p_search) in lower(q.name)) > 0)
     order by q.name
     limit p_limit offset p_offset
$$;
