-- recent_starts(within_ms, limit) → the latest starts of servers, newest first
-- `runs`: it gave a sign of life within that time. One that neither runs nor has an end was killed, or ended without a
-- database. Tables written: none.
create or replace function recent_starts(p_within_ms bigint, p_limit integer)
returns table (instance_id uuid, started_at timestamptz, ended_at timestamptz, hostname text, port integer,
               worker integer, version text, runs boolean)
language sql stable set search_path from current as $$
    select s.instance_id, s.started_at, s.ended_at, s.hostname, s.port, s.worker, s.version,
           exists (select from instances i
                    where i.instance_id = s.instance_id
                      and i.seen_at > clock_timestamp() - p_within_ms * interval '1 millisecond') as runs
      from server_starts s
     order by s.started_at desc, s.instance_id
     limit p_limit
$$;
