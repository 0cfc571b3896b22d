-- trim_changes() → true when a table was emptied
-- Empties the table of announcements whose turn is over, in the second half of the other's turn; what is in it is then
-- 15 seconds old at least. Called by the leader more often than every 15 seconds. Waits for no reader for long.
-- Tables written: changes_0 or changes_1.
create or replace function trim_changes() returns boolean
language plpgsql set search_path from current as $$
declare
    v_seconds   numeric := extract(epoch from clock_timestamp());
    v_resting   text := case when floor(v_seconds / 30)::bigint % 2 = 0 then 'changes_1' else 'changes_0' end;
    v_filled    boolean;
begin
    if v_seconds % 30 < 15 then
        return false;
    end if;
    execute format('select exists (select from %I)', v_resting) into v_filled;
    if v_filled then
        perform set_config('lock_timeout', '100ms', true);
        execute format('truncate %I', v_resting);
    end if;
    return v_filled;
exception when lock_not_available then
    return false;
end
$$;
