-- count_groups(partition_ids) → rows of group_stats: what the cursors of these partitions say, by queue and group
-- Partitions without any cursor make one more row of their queue, with a null group: all they hold is pending.
-- From counters; no message is read but for `oldest_pending_at`. That asks two partitions of each row: the one with most
-- before it and the one that was written to longest ago. The truth may be older, never younger.
create or replace function count_groups(p_partition_ids bigint[]) returns setof group_stats
language sql stable set search_path from current set enable_seqscan = off as $$
    with standing as (
        select p.queue_id, p.partition_id, p.last_write_at, c.consumer_group, c.place, c.processing, c.consumed,
               p.next_offset - 1 - c.place as lag
          from partitions p
         cross join lateral (
                select t.consumer_group, greatest(t.acked, p.first_offset - 1) as place, t.acked > t.acked_was as consumed,
                       case when t.lease_id is not null and t.lease_until > now() then t.lease_end - t.acked
                            else 0 end as processing
                  from cursors t where t.partition_id = p.partition_id
                 union all
                select null, p.first_offset - 1, false, 0
                 where not exists (select from cursors t where t.partition_id = p.partition_id)) c
         where p.partition_id = any (p_partition_ids)
    ), sums as materialized (
        select row_number() over () as n, s.queue_id, s.consumer_group, count(*) as members,
               count(*) filter (where s.lag > 0) as partitions_with_lag,
               count(*) filter (where s.lag > s.processing) as partitions_ready,
               sum(s.lag)::bigint as total_lag, sum(s.processing)::bigint as processing, bool_or(s.consumed) as consumed,
               max(array[s.lag, s.partition_id, s.place + 1]) filter (where s.lag > 0) as most,
               min(array[(extract(epoch from greatest(s.last_write_at, 'epoch')) * 1e6)::bigint, s.partition_id,
                         s.place + 1]) filter (where s.lag > 0) as quiet
          from standing s
         group by s.queue_id, s.consumer_group
    ), wanted as materialized (
        select s.n, w.partition_id, w."offset"
          from sums s
         cross join lateral (values (s.most[2], s.most[3]), (s.quiet[2], s.quiet[3])) w (partition_id, "offset")
         where w.partition_id is not null
    ), found as (
        select t.* from (select array_agg(w.partition_id) as ids, array_agg(w."offset") as offsets from wanted w) a
         cross join lateral stored_at_each(a.ids, a.offsets) t
    ), oldest as (
        select w.n, min(f.stored_at) as stored_at
          from wanted w join found f on f.partition_id = w.partition_id and f."offset" = w."offset"
         group by w.n
    )
    select s.queue_id, s.consumer_group, now(), s.members, s.partitions_with_lag, s.partitions_ready, s.total_lag,
           s.processing, s.consumed, o.stored_at
      from sums s left join oldest o on o.n = s.n
$$;
