-- is_of(queue_id, namespace, task) → true when the queue exists and is of this namespace and task; null: any
create or replace function is_of(p_queue_id integer, p_namespace text, p_task text) returns boolean
language sql stable set search_path from current set enable_indexscan = on set enable_seqscan = off as $$
    select exists (select from queues q
                    where q.queue_id = p_queue_id and (p_namespace is null or q.namespace = p_namespace)
                      and (p_task is null or q.task = p_task))
$$;
