-- begin_upkeep(lock_ms) → false: somebody else is at it
-- The first call of everything that changes epochs: one at a time in a schema, and not during a migration, whose lock
-- it is. Until the end of the transaction nothing waits for a lock longer than lock_ms: whoever waits for a strong lock
-- makes those behind it wait too.
create or replace function begin_upkeep(p_lock_ms integer) returns boolean
language plpgsql set search_path from current as $$
begin
    perform set_config('lock_timeout', p_lock_ms || 'ms', true);
    return pg_try_advisory_xact_lock(hashtextextended('queen migrate ' || current_schema(), 0));
end
$$;
