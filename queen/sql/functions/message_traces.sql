-- message_traces(partition_id, transaction_id, limit, offset) → traces of one message, oldest first
create or replace function message_traces(p_partition_id bigint, p_transaction_id text, p_limit integer, p_offset integer)
returns table (trace_id uuid, event_type text, data text, consumer_group text, created_at timestamptz, names text[])
language sql stable set search_path from current set enable_seqscan = off as $$
    select t.trace_id, t.event_type, t.data, t.consumer_group, t.created_at, t.names
      from traces t
     where t.transaction_id = p_transaction_id and t.partition_id = p_partition_id
     order by t.transaction_id, t.partition_id, t.trace_id
     limit p_limit offset p_offset
$$;
