-- forget_leases(older_than_s) → number removed
-- Removes leases over several partitions that can no longer be live, at most 1,000 a call.
create or replace function forget_leases(p_older_than_s bigint) returns bigint
language sql set search_path from current as $$
    with old as (
        select lease_id from leases l
         where created_at < now() - p_older_than_s * interval '1 second'
           and not exists (select from cursors c where c.partition_id = any (l.partition_ids)
                            and c.lease_id = l.lease_id and c.lease_until > now())
         limit 1000
    ), gone as (
        delete from leases l using old where l.lease_id = old.lease_id returning 1
    )
    select count(*) from gone
$$;
