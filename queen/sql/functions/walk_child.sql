-- walk_child(child, after, limit) → one row per partition with an id above `after`: what the child holds of it
-- Goes from partition to partition by the primary key, and reads the first and the last message of each: the cost
-- depends on the number of partitions, not of messages. A partition with messages outside the order alone has a null
-- last_offset.
create or replace function walk_child(p_child text, p_after bigint, p_limit integer)
returns table (partition_id bigint, queue_id integer, first_offset bigint, last_offset bigint, last_at timestamptz)
language plpgsql stable set search_path from current set enable_seqscan = off as $$
begin
    return query execute format($walk$
        with recursive walk as (
            (select m.partition_id from %1$I m where m.partition_id > $1 order by m.partition_id limit 1)
            union all
            select (select m.partition_id from %1$I m where m.partition_id > w.partition_id
                     order by m.partition_id limit 1)
              from walk w where w.partition_id is not null)
        select w.partition_id, b.queue_id, a."offset", b."offset", b.created_at
          from (select * from walk limit $2) w
          left join lateral (
                select m."offset" from %1$I m where m.partition_id = w.partition_id and m."offset" >= 0
                 order by m.partition_id, m."offset" limit 1) a on true
          left join lateral (
                select m."offset", m.queue_id, m.created_at from %1$I m
                 where m.partition_id = w.partition_id and m."offset" >= 0
                 order by m.partition_id desc, m."offset" desc limit 1) b on true
         where w.partition_id is not null$walk$, p_child) using p_after, p_limit;
end
$$;
