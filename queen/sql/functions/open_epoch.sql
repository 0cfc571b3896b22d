-- open_epoch(epoch) → void
-- Creates the child of `messages` for an epoch with its pop function, and makes it the newest.
-- The child is made apart and attached: that takes a weaker lock on `messages` than CREATE … PARTITION OF, so pushes
-- and pops go on meanwhile. Opening an epoch that exists re-creates its functions only (after an upgrade).
create or replace function open_epoch(p_epoch integer) returns void
language plpgsql set search_path from current as $$
declare
    v_child text := 'messages_' || p_epoch;
begin
    if not exists (select from epochs where epoch = p_epoch) then
        execute format('create table %I (like messages including all, constraint epoch_is check (epoch = %s))
            with (autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.2)', v_child, p_epoch);
        execute format('alter table messages attach partition %I for values in (%s)', v_child, p_epoch);
        execute format('alter table %I drop constraint epoch_is', v_child);
        insert into epochs (epoch) values (p_epoch);
    end if;
    perform create_pop(p_epoch);
end
$$;
