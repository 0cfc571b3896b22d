-- record_end(instance_id) → nothing
-- A server ends in an orderly way. The commit is not waited for (synchronous_commit). Tables written: server_starts.
create or replace function record_end(p_instance_id uuid) returns void
language plpgsql set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update server_starts set ended_at = clock_timestamp() where instance_id = p_instance_id and ended_at is null;
end
$$;
