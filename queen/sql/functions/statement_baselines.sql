-- statement_baselines(calls_min) → what a call cost in earlier hours, by function
-- Of whole hours with at least `calls_min` calls; the hour that runs and the one before it are left out, so that what is
-- slow now does not hide itself. `mean_ms` and `blocks` (a call) are medians over the hours, `best_ms` the best hour.
-- Tables written: none.
create or replace function statement_baselines(p_calls_min bigint)
returns table (name text, hours bigint, calls bigint, mean_ms double precision, best_ms double precision,
               blocks double precision, since timestamptz)
language sql stable set search_path from current as $$
    select h.name, count(*), sum(h.calls)::bigint,
           percentile_cont(0.5) within group (order by h.total_ms / h.calls),
           min(h.total_ms / h.calls),
           percentile_cont(0.5) within group (order by h.blocks / h.calls),
           min(h.bucket)
      from statement_hours h
     where h.calls >= greatest(p_calls_min, 1) and h.bucket < date_trunc('hour', clock_timestamp()) - interval '1 hour'
     group by h.name
     order by h.name
$$;
