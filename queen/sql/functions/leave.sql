-- leave(instance_id) → void
-- A server stops: its row goes, and the right to lead is free at once if it had it.
-- Tables written, in lock order: instances, leader.
create or replace function leave(p_instance_id uuid) returns void
language sql set search_path from current as $$
    delete from instances where instance_id = p_instance_id;
    update leader set instance_id = null, lease_until = '-infinity' where instance_id = p_instance_id;
$$;
