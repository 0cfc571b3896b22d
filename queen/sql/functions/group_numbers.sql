-- group_numbers(queue_ids, group, limit, offset, live_max) → rows of group_stats; a null computed_at: counted just now
-- One page of what groups did not consume yet, by group and queue; nulls match everything. If these queues (all, when
-- null) have few partitions (see countable) they are counted, else these are the numbers that are kept: a group that
-- began after the last walk is not among them.
create or replace function group_numbers(p_queue_ids integer[], p_group text, p_limit integer, p_offset integer, p_live_max integer)
returns setof group_stats
language plpgsql stable set search_path from current set enable_seqscan = off
    set plan_cache_mode = force_custom_plan as $$
declare
    v_ids   bigint[] := countable(p_queue_ids, p_live_max);
begin
    if v_ids is null then
        return query
        select g.* from group_stats g
         where (p_group is null or g.consumer_group = p_group)
           and (p_queue_ids is null or g.queue_id = any (p_queue_ids))
         order by g.consumer_group, g.queue_id
         limit p_limit offset p_offset;
        return;
    end if;
    return query
    select c.queue_id, c.consumer_group, null::timestamptz, c.members, c.partitions_with_lag, c.partitions_ready,
           c.total_lag, c.processing, c.consumed or coalesce(k.consumed, false), c.oldest_pending_at
      from count_groups(v_ids) c
      left join group_stats k on k.queue_id = c.queue_id and k.consumer_group = c.consumer_group
     where c.consumer_group is not null and (p_group is null or c.consumer_group = p_group)
     order by c.consumer_group, c.queue_id
     limit p_limit offset p_offset;
end
$$;
