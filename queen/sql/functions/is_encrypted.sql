-- is_encrypted(queue) → whether payloads of this queue are to be encrypted; false when there is no such queue
-- It runs with the rights of its owner: who calls enqueue() may insert there, and read nothing. Its search_path has pg_temp
-- last, so that no table of the caller's takes the place of ours.
create or replace function is_encrypted(p_queue text) returns boolean
language sql stable security definer set search_path from current as $$
    select coalesce((select (q.options ->> 'encryptionEnabled')::boolean from queues q where q.name = p_queue), false)
$$;
