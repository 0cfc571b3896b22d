-- How many statements clients sent to the current database. Fails where pg_stat_statements is not installed.
-- Returns one row of a running total: statements. Tables written: none.
select coalesce(sum(calls), 0)::bigint as statements
  from pg_stat_statements
 where toplevel and dbid = (select oid from pg_database where datname = current_database())
