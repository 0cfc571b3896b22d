-- named_traces(name, limit, offset) → traces under a name, oldest first; queue and partition are null when they are gone
create or replace function named_traces(p_name text, p_limit integer, p_offset integer)
returns table (trace_id uuid, event_type text, data text, consumer_group text, created_at timestamptz, names text[],
               transaction_id text, partition_id bigint, queue text, partition text)
language sql stable set search_path from current set enable_seqscan = off set enable_sort = off as $$
    select t.trace_id, t.event_type, t.data, t.consumer_group, t.created_at, t.names, t.transaction_id, t.partition_id,
           q.name, p.name
      from (select l.trace_id from trace_links l
             where l.name = p_name order by l.name, l.trace_id limit p_limit offset p_offset) l
     cross join lateral (select * from traces s where s.trace_id = l.trace_id) t
      left join lateral (select * from partitions s where s.partition_id = t.partition_id) p on true
      left join lateral (select * from queues s where s.queue_id = p.queue_id) q on true
$$;
