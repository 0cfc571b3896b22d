-- create_child(name, epoch) → void
-- Creates a table that can become the child of `messages` for an epoch, with all indexes. Its check constraint spares
-- attach_child() a scan.
create or replace function create_child(p_name text, p_epoch integer) returns void
language plpgsql set search_path from current as $$
begin
    execute format('create table %I (like messages including all, constraint epoch_is check (epoch = %s))
        with (autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.2)', p_name, p_epoch);
end
$$;
