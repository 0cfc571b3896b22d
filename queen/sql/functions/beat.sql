-- beat(instance_id, version, pool_size, lease_ms) → one row: leads, peers, fresh, pops_paused, pause_version
-- A server says once a second that it runs. Takes or renews the right to lead when that is free, its own, or has run
-- out; it ends `lease_ms` from now by the clock of the database, so two servers never hold it at once. A server that was
-- not seen for `lease_ms` counts as gone, and its row is removed after a hundred times that. Columns:
--   leads      this server leads
--   peers      other servers that run
--   fresh      this server was not known, or counted as gone: it may have missed what others announced
--   pops_paused, pause_version   the switch 'pop_maintenance': read here, every server knows it within a beat
-- The commit is not waited for (synchronous_commit): nothing is lost that the next beat does not bring back.
-- Tables written, in lock order: instances (the own row), leader, instances (rows that nobody holds).
create or replace function beat(p_instance_id uuid, p_version text, p_pool_size integer, p_lease_ms bigint)
returns table (leads boolean, peers integer, fresh boolean, pops_paused boolean, pause_version bigint)
language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
    v_now   timestamptz := clock_timestamp();
    v_lease interval := p_lease_ms * interval '1 millisecond';
    v_seen  timestamptz;
begin
    perform set_config('synchronous_commit', 'off', true);
    select i.seen_at into v_seen from instances i where i.instance_id = p_instance_id;
    fresh := v_seen is null or v_seen < v_now - v_lease;
    if v_seen is null then
        insert into instances (instance_id, seen_at, pool_size, version)
        values (p_instance_id, v_now, p_pool_size, p_version)
        on conflict (instance_id) do update set seen_at = excluded.seen_at;
    else
        update instances i set seen_at = v_now where i.instance_id = p_instance_id;
    end if;
    update leader l set instance_id = p_instance_id, lease_until = clock_timestamp() + v_lease
     where l.instance_id is not distinct from p_instance_id or l.lease_until < clock_timestamp();
    leads := found;
    if leads then
        delete from instances i
         using (select d.instance_id from instances d where d.seen_at < v_now - 100 * v_lease
                   for update skip locked) gone
         where i.instance_id = gone.instance_id;
    end if;
    select count(*) into peers from instances i
     where i.instance_id <> p_instance_id and i.seen_at >= v_now - v_lease;
    select r.is_on, r.version into pops_paused, pause_version from read_switch('pop_maintenance') r;
    return next;
end
$$;
