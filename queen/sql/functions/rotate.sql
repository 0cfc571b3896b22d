-- rotate(newest, lock_ms) → the number of the epoch that it opened, or null
-- Opens the next epoch, when `newest` still is the newest and nobody else is at it. Two callers open one.
-- Tables written: epochs.
create or replace function rotate(p_newest integer, p_lock_ms integer) returns integer
language plpgsql set search_path from current as $$
begin
    if not begin_upkeep(p_lock_ms) or p_newest <> (select max(epoch) from epochs) then
        return null;
    end if;
    perform open_epoch(p_newest + 1);
    return p_newest + 1;
end
$$;
