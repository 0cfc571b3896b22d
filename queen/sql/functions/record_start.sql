-- record_start(instance_id, hostname, port, worker, version) → nothing
-- A server says that it serves; a second word of it changes nothing. The oldest rows beyond 200 go.
-- The commit is not waited for (synchronous_commit): these are facts to look at. Tables written: server_starts.
create or replace function record_start(p_instance_id uuid, p_hostname text, p_port integer, p_worker integer,
                                        p_version text) returns void
language plpgsql set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into server_starts (instance_id, hostname, port, worker, version)
    values (p_instance_id, p_hostname, p_port, p_worker, p_version)
    on conflict do nothing;
    -- Whom another server removes at the same time is left to it.
    delete from server_starts
     where instance_id in (select s.instance_id from server_starts s order by s.started_at desc, s.instance_id offset 200
                              for update skip locked);
end
$$;
