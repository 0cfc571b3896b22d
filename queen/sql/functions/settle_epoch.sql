-- settle_epoch(epoch) → true: nobody writes to this closed epoch any more
-- A push that began before the epoch was closed may still be on its way to it. The first call notes every transaction
-- of this database that is running; the epoch is settled when the last of them has ended. Virtual ids are used, because
-- a push that waits for a partition has no other yet.
-- Tables written: epochs.
create or replace function settle_epoch(p_epoch integer) returns boolean
language plpgsql set search_path from current as $$
declare
    v_writers text[];
begin
    select writers into v_writers from epochs where epoch = p_epoch and closed_at is not null;
    if not found then
        return false;
    end if;
    if v_writers is null then
        select coalesce(array_agg(l.virtualtransaction), '{}') into v_writers
          from pg_locks l join pg_stat_activity a on a.pid = l.pid
         where l.locktype = 'virtualxid' and l.granted and l.pid <> pg_backend_pid()
           and a.datname = current_database();
        update epochs set writers = v_writers where epoch = p_epoch and writers is null;
    end if;
    return not exists (select from pg_locks l
                        where l.locktype = 'virtualxid' and l.granted and l.virtualtransaction = any (v_writers));
end
$$;
