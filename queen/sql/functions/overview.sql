-- overview(live_max, lags) → one row: the numbers of the whole system
-- If there is little (see countable) it is counted, else they are sums of what is kept.
--   time_lags, offset_lags   average, median, least and most over all groups of all queues: seconds since the oldest
--                            message behind was stored, and messages behind. They cost a look at every group of every queue:
--                            without `lags` they are empty
--   stats_age                seconds since the oldest of the numbers was computed: 0 when counted, -1 when never
create or replace function overview(p_live_max integer, p_lags boolean default true)
returns table (queues bigint, partitions bigint, namespaces bigint, tasks bigint, total bigint, pending bigint,
               processing bigint, dead_letters bigint, retained_bytes bigint, time_lags double precision[],
               offset_lags double precision[], stats_age double precision)
language plpgsql stable set search_path from current as $$
#variable_conflict use_column
declare
    v_ids   bigint[] := countable(null, p_live_max);
    v_live  boolean := v_ids is not null;
begin
    select count(*), (select count(*) from (select n.namespace from queues n group by n.namespace) x),
           (select count(*) from (select t.task from queues t group by t.task) x)
      into queues, namespaces, tasks from queues;
    select coalesce(sum(s.partitions), 0), coalesce(sum(s.total), 0), coalesce(sum(s.pending), 0),
           coalesce(sum(s.processing), 0), coalesce(sum(s.dead_letters), 0), coalesce(sum(s.retained_bytes), 0),
           case when v_live then 0 else coalesce(extract(epoch from now() - min(s.computed_at)), -1) end
      into partitions, total, pending, processing, dead_letters, retained_bytes, stats_age
      from (select k.* from queue_stats k where not v_live
             union all
            select c.* from count_queues(v_ids) c where v_live) s;
    if v_live then
        retained_bytes := total * coalesce(message_bytes(), 0);
        select greatest(x.counted, case when x.counted > 10000 then (select sum(k.dead_letters) from queue_stats k) end)
          into dead_letters
          from (select count(*) as counted from (select from dead_letters limit 10001) d) x;
    end if;
    if not p_lags then
        time_lags := '{}';
        offset_lags := '{}';
        return next;
        return;
    end if;
    select array[coalesce(avg(l.seconds), 0), coalesce(percentile_cont(0.5) within group (order by l.seconds), 0),
                 coalesce(min(l.seconds), 0), coalesce(max(l.seconds), 0)],
           array[coalesce(avg(l.total_lag), 0), coalesce(percentile_cont(0.5) within group (order by l.total_lag), 0),
                 coalesce(min(l.total_lag), 0), coalesce(max(l.total_lag), 0)]
      into time_lags, offset_lags
      from (select g.total_lag::double precision as total_lag,
                   coalesce(greatest(date_part('epoch', now() - g.oldest_pending_at), 0), 0) as seconds
              from (select k.* from group_stats k where not v_live
                     union all
                    select c.* from count_groups(v_ids) c where v_live and c.consumer_group is not null) g) l;
    return next;
end
$$;
