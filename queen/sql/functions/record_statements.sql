-- record_statements(rows) → nothing
-- Adds what calls cost since the last time to the hour that runs: `rows` is a JSON array of {name, calls, total_ms, blocks}.
-- Hours older than a week go. The commit is not waited for (synchronous_commit): these are numbers to look at.
-- Tables written: statement_hours.
create or replace function record_statements(p_rows jsonb) returns void
language plpgsql set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into statement_hours as h (bucket, name, calls, total_ms, blocks)
    select date_trunc('hour', clock_timestamp()), r.name, r.calls, r.total_ms, r.blocks
      from jsonb_populate_recordset(null::statement_hours, p_rows) r
     order by r.name
    on conflict (name, bucket) do update
       set calls = h.calls + excluded.calls, total_ms = h.total_ms + excluded.total_ms, blocks = h.blocks + excluded.blocks;
    delete from statement_hours
     where ctid = any (array(select s.ctid from statement_hours s
                              where s.bucket < clock_timestamp() - interval '7 days' for update skip locked));
end
$$;
