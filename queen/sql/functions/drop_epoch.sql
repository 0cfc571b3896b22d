-- drop_epoch(epoch, lock_ms) → true: the epoch is gone
-- Drops an emptied child with its pop function. Cursors that point at it are moved by next_epoch() when they are used.
-- The child is locked without waiting; then `messages`, for which pushes stand in line no longer than lock_ms.
-- Tables written: epochs.
create or replace function drop_epoch(p_epoch integer, p_lock_ms integer) returns boolean
language plpgsql set search_path from current as $$
declare
    v_function regprocedure;
begin
    if not begin_upkeep(p_lock_ms)
       or not exists (select from epochs where epoch = p_epoch and emptied_at is not null) then
        return false;
    end if;
    execute format('lock table messages_%s in access exclusive mode nowait', p_epoch);
    lock table messages in access exclusive mode;
    execute format('drop table messages_%s', p_epoch);
    for v_function in
        select p.oid::regprocedure from pg_proc p
         where p.pronamespace = quote_ident(current_schema())::regnamespace and p.proname = 'pop_' || p_epoch
    loop
        execute format('drop function %s', v_function);
    end loop;
    delete from epochs where epoch = p_epoch;
    return true;
end
$$;
