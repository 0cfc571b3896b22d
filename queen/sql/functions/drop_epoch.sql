-- drop_epoch(epoch, lock_ms) → true: the epoch is gone
-- Takes an emptied child out of `messages`, drops its pop function, and leaves the table as messages_<epoch>_old for
-- drop_leftovers(), so that `messages` is locked for no longer than a change of the catalog takes. Cursors that point at
-- the epoch are moved by next_epoch() when they are used.
-- The child is locked without waiting; then `messages`, for which pushes stand in line no longer than lock_ms.
-- Tables written: epochs, messages.
create or replace function drop_epoch(p_epoch integer, p_lock_ms integer) returns boolean
language plpgsql set search_path from current as $$
declare
    v_child     text := format('messages_%s', p_epoch);
    v_function  regprocedure;
begin
    if not begin_upkeep(p_lock_ms) or to_regclass(v_child || '_old') is not null
       or not exists (select from epochs where epoch = p_epoch and emptied_at is not null) then
        return false;
    end if;
    for v_function in
        select p.oid::regprocedure from pg_proc p
         where p.pronamespace = quote_ident(current_schema())::regnamespace and p.proname = 'pop_' || p_epoch
    loop
        execute format('drop function %s', v_function);
    end loop;
    delete from epochs where epoch = p_epoch;
    execute format('lock table %I in access exclusive mode nowait', v_child);
    lock table messages in access exclusive mode;
    execute format('alter table messages detach partition %I', v_child);
    execute format('alter table %I rename to %I', v_child, v_child || '_old');
    return true;
end
$$;
