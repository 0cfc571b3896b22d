-- The load that Queen itself saw, and who runs.
-- Returns one row: messages_per_s of the busiest minute of the last day (null without one), instances that were seen
-- within a minute, pool_size: the connections of all of them. Tables written: none.
select (select max(m.messages) / 60.0
          from (select sum(a.push_messages) as messages
                  from {schema}.activity a
                 where a.bucket > now() - interval '1 day'
                 group by a.bucket) m)::float8 as messages_per_s,
       (select count(*) from {schema}.instances i where i.seen_at > now() - interval '1 minute') as instances,
       (select coalesce(sum(i.pool_size), 0)
          from {schema}.instances i
         where i.seen_at > now() - interval '1 minute') as pool_size
