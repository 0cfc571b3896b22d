-- show_messages(partition_ids, offsets, epochs, status, skip, limit, bytes_max) → messages with what became of them, in
-- the order given
--   status          only those with it; null: all. Behind `skip` of them, at most `limit`
--   bytes_max       from the message on whose payload would bring the sum above it, `fits` is false and payload null;
--                   the first always fits
-- What is hidden or gone is left out, unless a dead letter has a copy of it: then columns and payload are the copy's.
-- Columns
--   status          scheduled, dead_letter, completed, processing, pending; without a cursor of queue mode: completed when
--                   all groups that have a cursor passed it, processing when one may have it under a live lease
--   queue_status    the same by the cursor of queue mode alone, null without one
--   groups, consumed_by     groups with a cursor in the partition, and those that have passed the message
--   lease_until     when the lease ends under which it is processed
--   error, retries  of the newest dead letter
create or replace function show_messages(
    p_partition_ids bigint[], p_offsets bigint[], p_epochs integer[], p_status text, p_skip integer, p_limit integer,
    p_bytes_max bigint
) returns table (
    partition_id bigint, "offset" bigint, transaction_id text, queue_id integer, queue text, partition text,
    namespace text, task text, status text, queue_status text, groups integer, consumed_by integer,
    lease_until timestamptz, trace_id uuid, producer_sub text, created_at timestamptz, scheduled_at timestamptz,
    first_id uuid, error text, retries integer, fits boolean, payload text
)
language plpgsql stable set search_path from current set enable_seqscan = off set enable_hashjoin = off
    set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query
    with page as materialized (
        select j.* from (
            select k.n, k.partition_id, k."offset", k.epoch, p.queue_id, p.name as partition, q.name as queue,
                   q.namespace, q.task, d.dead_letter_id, g.groups, g.consumed_by,
                   case when k."offset" < 0 then 'scheduled' when d.dead_letter_id is not null then 'dead_letter'
                        when k."offset" <= coalesce(g.queue_acked, g.all_acked) then 'completed'
                        when k."offset" <= coalesce(g.queue_leased, case when g.queue_acked is null then g.leased end)
                             then 'processing'
                        else 'pending' end as status,
                   case when g.queue_acked is null then null when k."offset" <= g.queue_acked then 'completed'
                        when k."offset" <= g.queue_leased then 'processing' else 'pending' end as queue_status,
                   case when k."offset" > coalesce(g.queue_acked, g.all_acked)
                         and k."offset" <= coalesce(g.queue_leased, case when g.queue_acked is null then g.leased end)
                        then coalesce(g.queue_until, g.until) end as lease_until
              from (select u.* from unnest(p_partition_ids, p_offsets, p_epochs)
                           with ordinality u (partition_id, "offset", epoch, n) order by u.n) k
             cross join lateral (select t.* from partitions t where t.partition_id = k.partition_id) p
             cross join lateral (select t.* from queues t where t.queue_id = p.queue_id) q
              left join lateral (
                    select max(t.acked) filter (where t.consumer_group = '__QUEUE_MODE__') as queue_acked,
                           max(t.lease_end) filter (where t.consumer_group = '__QUEUE_MODE__'
                                                      and t.lease_id is not null and t.lease_until > now())
                                as queue_leased,
                           max(t.lease_until) filter (where t.consumer_group = '__QUEUE_MODE__'
                                                        and t.lease_id is not null and t.lease_until > now())
                                as queue_until,
                           min(t.acked) as all_acked,
                           max(t.lease_end) filter (where t.lease_id is not null and t.lease_until > now()) as leased,
                           max(t.lease_until) filter (where t.lease_id is not null and t.lease_until > now()
                                                        and t.acked < k."offset" and t.lease_end >= k."offset")
                                as until,
                           count(*) filter (where t.consumer_group <> '__QUEUE_MODE__')::integer as groups,
                           count(*) filter (where t.consumer_group <> '__QUEUE_MODE__' and t.acked >= k."offset"
                                              and k."offset" >= 0)::integer as consumed_by
                      from cursors t where t.partition_id = k.partition_id) g on true
              left join lateral (
                    select t.dead_letter_id from dead_letters t
                     where t.partition_id = k.partition_id and t."offset" = k."offset"
                     order by t.dead_letter_id desc limit 1) d on true
             where k."offset" < 0 or k."offset" >= p.first_offset or d.dead_letter_id is not null) j
         where p_status is null or j.status = p_status
         order by j.n limit p_limit offset p_skip
    ), found as materialized (
        select g.*, coalesce(m.transaction_id, d.transaction_id) as transaction_id,
               coalesce(m.trace_id, d.trace_id) as trace_id, coalesce(m.producer_sub, d.producer_sub) as producer_sub,
               coalesce(m.created_at, d.created_at) as created_at, m.scheduled_at,
               coalesce(m.first_id, d.first_id) as first_id, coalesce(m.payload, d.payload) as payload, d.error,
               d.retries
          from page g
          left join lateral (
                select t.* from messages t
                 where t.partition_id = g.partition_id and t."offset" = g."offset" and t.epoch = g.epoch) m on true
          left join lateral (select t.* from dead_letters t where t.dead_letter_id = g.dead_letter_id) d on true
    ), sized as (
        select f.*, coalesce(sum(octet_length(f.payload)) over (
                        order by f.n rows between unbounded preceding and current row), 0) <= p_bytes_max
                    or row_number() over (order by f.n) = 1 as fits
          from found f
         where f.transaction_id is not null
    )
    select s.partition_id, s."offset", s.transaction_id, s.queue_id, s.queue, s.partition, s.namespace, s.task, s.status,
           s.queue_status, s.groups, s.consumed_by, s.lease_until, s.trace_id, s.producer_sub, s.created_at,
           s.scheduled_at, s.first_id, s.error, s.retries, s.fits, case when s.fits then s.payload end
      from sized s
     order by s.n;
end
$$;
