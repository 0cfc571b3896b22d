-- safe_time() → at, degraded: no message with an earlier time than `at` can still appear
-- Whoever stores messages locks `partitions` first, then reads the clock: what is not seen to hold that lock here will read
-- a later time, or has committed. So the start of the oldest transaction that holds it is the bound, less a guard of five
-- seconds; callers of enqueue() do not lock it, and long readers do not matter. `degraded`: the role may not see since when
-- some other role's transaction runs, and that one is left out.
-- Read it before the partitions, in a statement of its own.
create or replace function safe_time(out at timestamptz, out degraded boolean)
language plpgsql volatile set search_path from current as $$
declare
    v_clock timestamptz := clock_timestamp();
begin
    select least(v_clock, min(a.xact_start)) - interval '5 seconds',
           coalesce(bool_or(a.query = '<insufficient privilege>'), false)
      into at, degraded
      from pg_locks l
      join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'relation' and l.relation = 'partitions'::regclass and l.pid <> pg_backend_pid()
       and l.database = (select d.oid from pg_database d where d.datname = current_database())
       and l.mode in ('RowShareLock', 'RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
end
$$;
