-- instance_series(from, to, minutes, hostname, worker, limit) → one row per server and bucket: how it was
-- The values of each metric over the minutes of a bucket: avg (of the minutes' averages), min, max and last. `hostname`
-- and `worker` select; null is any. The newest buckets first up to `limit`.
create or replace function instance_series(p_from timestamptz, p_to timestamptz, p_minutes integer, p_hostname text,
                                           p_worker integer, p_limit integer)
returns table (bucket timestamptz, hostname text, port integer, worker integer, metrics jsonb)
language sql stable set search_path from current set enable_seqscan = off as $$
    with flat as (
        select date_bin(p_minutes * interval '1 minute', i.bucket, '2000-01-01Z') as bucket, i.hostname, i.port,
               i.worker, part.key as part, one.key as name, avg((one.value ->> 'avg')::double precision) as avg,
               min((one.value ->> 'min')::double precision) as min, max((one.value ->> 'max')::double precision) as max,
               (array_agg((one.value ->> 'last')::double precision order by i.bucket desc))[1] as last
          from instance_activity i, jsonb_each(i.metrics) part, jsonb_each(part.value) one
         where i.bucket >= p_from and i.bucket < p_to and (p_hostname is null or i.hostname = p_hostname)
           and (p_worker is null or i.worker = p_worker)
         group by 1, 2, 3, 4, 5, 6
    ), parts as (
        select f.bucket, f.hostname, f.port, f.worker, f.part,
               jsonb_object_agg(f.name, jsonb_build_object('avg', round(f.avg::numeric, 3), 'min', f.min, 'max', f.max,
                                                           'last', f.last)) as metrics
          from flat f group by 1, 2, 3, 4, 5
    )
    select p.bucket, p.hostname, p.port, p.worker, jsonb_object_agg(p.part, p.metrics) as metrics
      from parts p group by 1, 2, 3, 4
     order by p.bucket desc, p.hostname, p.port, p.worker
     limit p_limit
$$;
