-- open_epoch(epoch) → void
-- Creates the child of `messages` for an epoch with its pop function, makes it the newest and closes those before.
-- The child is made apart and attached: that takes a weaker lock on `messages` than CREATE … PARTITION OF, so pushes
-- and pops go on meanwhile. Opening an epoch that exists re-creates its functions only (after an upgrade).
-- Tables written: epochs.
create or replace function open_epoch(p_epoch integer) returns void
language plpgsql set search_path from current as $$
begin
    if not exists (select from epochs where epoch = p_epoch) then
        perform create_child('messages_' || p_epoch, p_epoch);
        perform attach_child(p_epoch);
        insert into epochs (epoch) values (p_epoch);
        update epochs set closed_at = clock_timestamp() where epoch < p_epoch and closed_at is null;
    end if;
    perform create_pop(p_epoch);
end
$$;
