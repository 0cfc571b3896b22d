-- running_instances(within_ms, limit) → the servers that gave a sign of life within that time, and which of them leads
create or replace function running_instances(p_within_ms bigint, p_limit integer)
returns table (instance_id uuid, started_at timestamptz, seen_at timestamptz, pool_size integer, version text,
               leads boolean)
language sql stable set search_path from current as $$
    select i.instance_id, i.started_at, i.seen_at, i.pool_size, i.version,
           exists (select from leader l where l.instance_id = i.instance_id and l.lease_until > clock_timestamp()) as leads
      from instances i
     where i.seen_at > clock_timestamp() - p_within_ms * interval '1 millisecond'
     order by i.started_at, i.instance_id
     limit p_limit
$$;
