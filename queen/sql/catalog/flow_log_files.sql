-- The files of the server's log, the one that is written to now, and the time.
-- Returns a row for each file: current (its path as the server names it), name, size, changed_at and now (both seconds
-- since 1970). Tables written: none.
select pg_current_logfile() as current, name, size,
       extract(epoch from modification)::float8 as changed_at, extract(epoch from clock_timestamp())::float8 as now
  from pg_ls_logdir()
