-- partition_stats(queue_id, limit, offset)
-- Numbers of one page of a queue's partitions by name, or without a queue of all partitions by id, against the slowest
-- group. From counters and cursors; for `oldest` one message of each is looked up.
--   processing     how many of `pending` this group has under a live lease; of equally slow ones, that with the fewest
--   consumed       messages that the slowest group has passed since the partition began
--   dead_letters   counted to 10,000
--   oldest, newest when the first and the last of what is kept were stored; null when nothing is
-- Without sorts the planner follows the index on names; with them it may read and sort the whole queue for a page.
create or replace function partition_stats(p_queue_id integer, p_limit integer, p_offset integer)
returns table (partition_id bigint, queue_id integer, name text, created_at timestamptz, total bigint, pending bigint,
               processing bigint, dead_letters bigint, consumed bigint, oldest timestamptz, newest timestamptz,
               last_write_at timestamptz)
language plpgsql stable set search_path from current set enable_seqscan = off
    set enable_sort = off set enable_incremental_sort = off as $$
#variable_conflict use_column
declare
    v_ids       bigint[];
    v_firsts    bigint[];
    v_from      bigint;         -- where the page begins: what lies before it is counted in an index alone
    v_name      text;
begin
    if p_queue_id is null then
        select t.partition_id into v_from from partitions t order by t.partition_id limit 1 offset p_offset;
        select array_agg(x.partition_id), array_agg(x.first_offset) into v_ids, v_firsts
          from (select t.partition_id, t.first_offset from partitions t
                 where t.partition_id >= v_from order by t.partition_id limit p_limit) x;
    else
        select t.name into v_name from partitions t where t.queue_id = p_queue_id
         order by t.queue_id, t.name limit 1 offset p_offset;
        select array_agg(x.partition_id), array_agg(x.first_offset) into v_ids, v_firsts
          from (select t.partition_id, t.first_offset from partitions t
                 where t.queue_id = p_queue_id and t.name >= v_name order by t.queue_id, t.name limit p_limit) x;
    end if;
    return query
    select p.partition_id, p.queue_id, p.name, p.created_at, p.next_offset - p.first_offset,
           p.next_offset - 1 - coalesce(c.slowest[1], p.first_offset - 1), coalesce(c.slowest[2], 0), d.dead_letters,
           coalesce(c.slowest[1], p.first_offset - 1) + 1, case when p.next_offset > p.first_offset then u.oldest end,
           case when p.next_offset > p.first_offset then p.last_write_at end, nullif(p.last_write_at, '-infinity')
      from unnest(v_ids, stored_at_each(v_ids, v_firsts)) with ordinality u (partition_id, oldest, n)
     cross join lateral (select * from partitions t where t.partition_id = u.partition_id) p
      left join lateral (
            select min(array[l.place, case when t.lease_id is not null and t.lease_until > now()
                                           then greatest(t.lease_end - l.place, 0) else 0 end]) as slowest
              from cursors t
             cross join lateral (select greatest(t.acked, p.first_offset - 1) as place) l
             where t.partition_id = p.partition_id) c on true
      left join lateral (
            select count(*) as dead_letters
              from (select from dead_letters x where x.partition_id = p.partition_id limit 10000) y) d on true
     order by u.n;
end
$$;
