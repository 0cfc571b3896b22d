-- drop_leftovers(lock_ms) → number of tables dropped; null when some are left, for the next time
-- Drops what was put aside: children that were emptied or swapped out, and half-made copies of epochs that are gone.
-- They belong to `messages` no more, so nobody but a late reader is in the way.
create or replace function drop_leftovers(p_lock_ms integer) returns integer
language plpgsql set search_path from current as $$
declare
    v_table     regclass;
    v_dropped   integer := 0;
    v_left      integer := 0;
begin
    if not begin_upkeep(p_lock_ms) then
        return null;
    end if;
    for v_table in
        select c.oid::regclass from pg_class c
         where c.relnamespace = quote_ident(current_schema())::regnamespace and c.relkind = 'r' and not c.relispartition
           and (c.relname ~ '^messages_[0-9]+_old$'
                or c.relname ~ '^messages_[0-9]+_new$'
                   and not exists (select from epochs e
                                    where c.relname = format('messages_%s_new', e.epoch) and e.emptied_at is null))
    loop
        begin
            execute format('drop table %s', v_table);
            v_dropped := v_dropped + 1;
        exception when lock_not_available then
            v_left := v_left + 1;
        end;
    end loop;
    return case when v_left = 0 then v_dropped end;
end
$$;
