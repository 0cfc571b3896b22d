-- depth(queue_id, group, limit, offset, live_max) → partition_id, name, pending, processing, whole; by name
-- What a group has before it on each partition of a queue, counted now; a null group: against the slowest one (of equally
-- slow ones, that with the fewest messages under a live lease). `processing` is how many of `pending` it has leased. A queue of
-- at most live_max partitions comes as a whole, and `whole` is true; of a larger one a page.
-- On a partition that the group has not touched, it has before it what lies behind its start, as in open_cursors().
-- Without sorts the planner follows the index on names; with them it may read and sort the whole queue for a page.
create or replace function depth(p_queue_id integer, p_group text, p_limit integer, p_offset integer, p_live_max integer)
returns table (partition_id bigint, name text, pending bigint, processing bigint, whole boolean)
language plpgsql stable set search_path from current set enable_seqscan = off
    set enable_sort = off set enable_incremental_sort = off as $$
#variable_conflict use_column
declare
    v_whole boolean := cardinality(partitions_of(array[p_queue_id], p_live_max + 1)) <= p_live_max;
    v_start timestamptz := coalesce((select s.start_at from subscriptions s
                                      where s.queue_id = p_queue_id and s.consumer_group = p_group), '-infinity');
begin
    return query
    select p.partition_id, p.name, p.next_offset - 1 - c.slowest[1], c.slowest[2], v_whole
      from (select * from partitions t where t.queue_id = p_queue_id order by t.queue_id, t.name
             limit case when not v_whole then p_limit end offset case when not v_whole then p_offset end) p
     cross join lateral (
            select case when count(*) > 0
                        then min(array[l.place, case when t.lease_id is not null and t.lease_until > now()
                                                     then greatest(t.lease_end - l.place, 0) else 0 end])
                        when v_start = '-infinity' then array[p.first_offset - 1, 0]
                        when p.last_write_at < v_start then array[p.next_offset - 1, 0]
                        else array[offset_at(p.partition_id, v_start) - 1, 0] end as slowest
              from cursors t
             cross join lateral (select greatest(t.acked, p.first_offset - 1) as place) l
             where t.partition_id = p.partition_id and (p_group is null or t.consumer_group = p_group)) c
     order by p.name;
end
$$;
