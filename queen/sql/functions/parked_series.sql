-- parked_series(queue_ids, from, to, minutes, limit) → one row per queue, bucket and server: polls that waited
-- The average over the minutes of a bucket in which that server wrote something, the newest buckets first up to `limit`;
-- hours that are rolled up name no server and are not in it.
create or replace function parked_series(p_queue_ids integer[], p_from timestamptz, p_to timestamptz, p_minutes integer,
                                         p_limit integer)
returns table (queue_id integer, bucket timestamptz, instance_id uuid, hostname text, worker integer,
               parked double precision)
language sql stable set search_path from current set enable_seqscan = off as $$
    select s.queue_id, s.bucket, s.instance_id, i.hostname, i.worker, s.parked
      from (select a.queue_id, date_bin(p_minutes * interval '1 minute', a.bucket, '2000-01-01Z') as bucket,
                   a.instance_id, avg(a.parked)::double precision as parked, max(a.bucket) as latest
              from unnest(p_queue_ids) q (id)
             cross join lateral (select b.queue_id, b.bucket, b.instance_id, b.parked from activity b
                                  where b.queue_id = q.id and b.bucket >= p_from and b.bucket < p_to
                                 offset 0) a
             group by 1, 2, 3
             order by 2 desc, 1, 3
             limit p_limit) s
      left join instance_activity i on i.bucket = s.latest and i.instance_id = s.instance_id
     order by s.bucket, s.queue_id, i.hostname, i.worker
$$;
