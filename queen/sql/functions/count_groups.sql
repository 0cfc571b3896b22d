-- count_groups(partition_ids) → rows of group_stats: what the cursors of these partitions say, by queue and group
-- Partitions without any cursor make one more row of their queue, with a null group: all they hold is pending.
-- From counters; no message is read but for `oldest_pending_at`. That asks two partitions of each row: the one with
-- most before it and the one that was written to longest ago. The truth may be older, never younger.
create or replace function count_groups(p_partition_ids bigint[]) returns setof group_stats
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_rows      group_stats[];
    v_most      bigint[];
    v_most_at   bigint[];
    v_quiet     bigint[];
    v_quiet_at  bigint[];
begin
    select array_agg((s.queue_id, s.consumer_group, now(), s.members, s.partitions_with_lag, s.partitions_ready,
                      s.total_lag, s.processing, s.consumed, null)::group_stats),
           array_agg(s.most[2]), array_agg(s.most[3]),
           array_agg(case when s.quiet[2] <> s.most[2] then s.quiet[2] end), array_agg(s.quiet[3])
      into v_rows, v_most, v_most_at, v_quiet, v_quiet_at
      from (select p.queue_id, c.consumer_group, count(*) as members, count(*) filter (where l.lag > 0)
                        as partitions_with_lag,
                   count(*) filter (where l.lag > c.processing) as partitions_ready, sum(l.lag)::bigint as total_lag,
                   sum(c.processing)::bigint as processing, bool_or(c.consumed) as consumed,
                   max(array[l.lag, p.partition_id, c.place + 1]) filter (where l.lag > 0) as most,
                   min(array[(extract(epoch from greatest(p.last_write_at, 'epoch')) * 1e6)::bigint, p.partition_id,
                             c.place + 1]) filter (where l.lag > 0) as quiet
              from partitions p
             cross join lateral (
                    select t.consumer_group, greatest(t.acked, p.first_offset - 1) as place,
                           t.acked > t.acked_was as consumed,
                           case when t.lease_id is not null and t.lease_until > now()
                                then greatest(t.lease_end - greatest(t.acked, p.first_offset - 1), 0) else 0 end as processing
                      from cursors t where t.partition_id = p.partition_id
                     union all
                    select null, p.first_offset - 1, false, 0
                     where not exists (select from cursors t where t.partition_id = p.partition_id)) c
             cross join lateral (select p.next_offset - 1 - c.place as lag) l
             where p.partition_id = any (p_partition_ids)
             group by p.queue_id, c.consumer_group) s;
    return query
    select u.queue_id, u.consumer_group, u.computed_at, u.members, u.partitions_with_lag, u.partitions_ready, u.total_lag,
           u.processing, u.consumed, least(u.most, u.quiet)
      from unnest(v_rows, stored_at_each(v_most, v_most_at), stored_at_each(v_quiet, v_quiet_at))
           u (queue_id, consumer_group, computed_at, members, partitions_with_lag, partitions_ready, total_lag, processing,
              consumed, oldest_pending_at, most, quiet);
end
$$;
