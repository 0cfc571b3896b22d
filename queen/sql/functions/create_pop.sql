-- create_pop(epoch) → void
--
-- Creates pop_<epoch>(), the pop that reads the child messages_<epoch>. One function per live epoch, because a read
-- that names its child costs a fraction of one that goes through the parent and finds the child while it runs.
--
-- pop_<epoch>(partition_ids, groups, requests, batches, lease_ids, lease_ms, several, bytes_max, delays_ms, windows_ms,
--             spots, partition_spots)
--   → one row per candidate that was leased, or is held back
--   partition_ids, groups   the candidates, one per (partition, group), those of one request side by side
--   requests                which request a candidate serves; `batches` is that request's limit over all its candidates
--   lease_ids, lease_ms     fencing id and length of the lease; a null lease id means: ack at delivery, no lease
--   several                 some lease id stands for several candidates, so it is written down for extend()
--   bytes_max               a candidate gets no further message once its payloads have reached this many bytes
--   delays_ms, windows_ms   delayedProcessing and windowBuffer of a candidate's queue, null for none; both arrays are null
--                           when no candidate has one
--   spots, partition_spots  where the rows of cursor and partition lay last (ctid); hints as in push(), null for unknown
-- A message is delivered when it is at least the delay old. A window holds the whole partition back until its first
-- undelivered message is that old, and then lets all go. That is "nothing until the partition was quiet that long, but
-- anyway that long after the first write since the last delivery": created_at never decreases along the offsets, so
-- whatever follows a quiet time of that length is that old, and the first write since a delivery that left nothing is
-- the first undelivered message. After a delivery that left some (more than a batch, or given back) the rest is as old as
-- it is, and goes on without a new wait.
-- The batch is taken before it is cut by age, so a backlog of young messages is never walked through.
-- Columns of a row
--   place         the candidate, counted from 1. A candidate without a row got nothing; examine() says why
--   held_ms       null, or how long until the first message may be delivered; then nothing was leased, and the columns of
--                 messages are null
--   first_offset  offset of the first message; `offsets` is null when the rest follow without a gap
--   attempt       how often this span was handed out, this time included
--   head          offset after the newest message of the partition
--   transaction_ids, payloads, created_ats   the messages, in order
--   extras        null, or [[offset, trace_id, producer_sub, first_id], …] of the messages that have one
--   spot          where the cursor's row lies now; null for a candidate that is held back
-- Where every hint is there and each request has one candidate, rows are taken by place alone, and only what got nothing is
-- looked up by key afterwards. Requests with several candidates go the general way: a second look must not exceed their limit.
-- What the first look leased is told by xmin, as in ack(): not to be called within a savepoint.
-- The lease ends at the last message handed out. Never waits: a cursor locked by another call is skipped.
-- Tables written, in lock order: cursors, leases.
create or replace function create_pop(p_epoch integer) returns void
language plpgsql set search_path from current as $$
declare
    -- Where the hints say, and only there: half the cost of a small call.
    c_by_place constant text := $lookup$
         cross join lateral (
                select t.ctid as at, t.acked, t.deliveries, t.epoch as written from cursors t
                 where t.ctid = i.spot and t.partition_id = i.partition_id and t.consumer_group = i.consumer_group
                   and (t.lease_until is null or t.lease_until <= now())
                   for no key update skip locked) c
         cross join lateral (
                select t.next_offset, t.epoch as newest, t.epoch_first_offset as newest_first from partitions t
                 where t.ctid = i.partition_spot and t.partition_id = i.partition_id) p
         cross join lateral (
                select c.*, p.*) l$lookup$;
    -- By key whatever is not where the hint says.
    c_by_any constant text := $lookup$
          left join lateral (
                select t.ctid as at, t.acked, t.deliveries, t.epoch from cursors t
                 where t.ctid = i.spot and t.partition_id = i.partition_id and t.consumer_group = i.consumer_group
                   and (t.lease_until is null or t.lease_until <= now())
                   for no key update skip locked) h on true
          left join lateral (
                -- The newest version lies last as a rule: from the end, the dead ones are not walked through.
                select t.ctid as at from cursors t
                 where h.acked is null and t.partition_id = i.partition_id
                   and t.consumer_group >= i.consumer_group and t.consumer_group <= i.consumer_group
                 order by t.partition_id desc, t.consumer_group desc limit 1) w on true
          left join lateral (
                select t.ctid as at, t.acked, t.deliveries, t.epoch from cursors t
                 where t.ctid = w.at and (t.lease_until is null or t.lease_until <= now())
                   for no key update skip locked) k on true
          left join lateral (
                select t.next_offset, t.epoch, t.epoch_first_offset from partitions t
                 where t.ctid = i.partition_spot and t.partition_id = i.partition_id) hp on true
          left join lateral (
                select t.next_offset, t.epoch, t.epoch_first_offset from partitions t
                 where hp.next_offset is null and t.partition_id >= i.partition_id and t.partition_id <= i.partition_id
                 order by t.partition_id desc limit 1) kp on true
         cross join lateral (
                select coalesce(h.at, k.at) as at, coalesce(h.acked, k.acked) as acked,
                       coalesce(h.deliveries, k.deliveries) as deliveries, coalesce(h.epoch, k.epoch) as written,
                       coalesce(hp.next_offset, kp.next_offset) as next_offset,
                       coalesce(hp.epoch, kp.epoch) as newest,
                       coalesce(hp.epoch_first_offset, kp.epoch_first_offset) as newest_first) l$lookup$;
    c_held constant text := $held$     union all
    select f.n::integer, null, null, null, f.next_offset, null, null, null, null,
           ceil(extract(epoch from f.wait) * 1000)::bigint, null
      from found f
     where f.wait > interval '0'
$held$;
    c_query constant text := $query$
    with claimed as materialized (
        select i.*, l.at, l.acked, l.deliveries, l.next_offset
          from unnest(p_partition_ids, p_groups, p_requests, p_batches, p_lease_ids, p_lease_ms, p_delays_ms,
                      p_windows_ms, p_spots, p_partition_spots)
               with ordinality i (partition_id, consumer_group, request, batch, lease_id, lease_ms, delay_ms, window_ms,
                                  spot, partition_spot, n)%2$s
         where l.acked + 1 < l.next_offset
           and case when l.acked + 1 >= l.newest_first then l.newest else l.written end = %1$s
           and (v_again is null or i.n = any (v_again))
    ), bounded as (
        select c.*, c.batch - coalesce(sum(least(c.next_offset - 1 - c.acked, c.batch)::integer) over (
                    partition by c.request order by c.n rows between unbounded preceding and 1 preceding), 0) as allowed
          from claimed c
    ), found as materialized (
        select b.n, b.at, b.partition_id, b.consumer_group, b.lease_id, b.lease_ms, b.next_offset, b.deliveries, m.*,
               m.created_ats[1] + greatest(b.delay_ms, b.window_ms) * interval '1 millisecond' - now() as wait
          from bounded b
         cross join lateral (
                select min(r."offset") as first_offset, max(r."offset") as last_offset, count(*) as messages,
                       array_agg(r."offset") as offsets, array_agg(r.transaction_id) as transaction_ids,
                       array_agg(r.payload) as payloads, array_agg(r.created_at) as created_ats,
                       json_agg(json_build_array(r."offset", r.trace_id, r.producer_sub, r.first_id))
                            filter (where r.trace_id is not null or r.producer_sub is not null
                                       or r.first_id is not null) as extras
                  from (select m.*, sum(octet_length(m.payload)) over (
                                   order by m.partition_id, m."offset"
                                   rows between unbounded preceding and 1 preceding) as bytes_before
                          from messages_%1$s m
                         where m.partition_id = b.partition_id and m."offset" > b.acked
                         order by m.partition_id, m."offset" limit b.allowed) r
                 -- The first one always counts: its age decides whether anything goes.
                 where r.bytes_before is null
                    or r.bytes_before < p_bytes_max
                       and (b.delay_ms is null or r.created_at <= now() - b.delay_ms * interval '1 millisecond')) m
         where b.allowed > 0 and m.messages > 0
    ), leased as (
        update cursors c
           set lease_id = f.lease_id,
               lease_until = case when f.lease_id is null then null else now() + f.lease_ms * interval '1 millisecond' end,
               lease_end = f.last_offset,
               epoch = %1$s,
               acked = case when f.lease_id is null then f.last_offset else c.acked end,
               deliveries = case when f.lease_id is null then 0 else c.deliveries + 1 end,
               retries = case when f.lease_id is null then 0 else c.retries end
          from found f
         where c.ctid = f.at                -- it is locked, so it lies there until now
           and (f.wait is null or f.wait <= interval '0')
        returning f.n::integer, f.first_offset,
                  case when f.last_offset - f.first_offset + 1 = f.messages then null else f.offsets end,
                  case when f.lease_id is null then 1 else f.deliveries + 1 end, f.next_offset,
                  f.transaction_ids, f.payloads, f.created_ats, f.extras::text, null::bigint, c.ctid
    )
    select * from leased
%3$s     order by 1;
$query$;
begin
    execute format($template$
create or replace function pop_%1$s(
    p_partition_ids bigint[], p_groups text[], p_requests integer[], p_batches integer[], p_lease_ids uuid[],
    p_lease_ms bigint[], p_several boolean, p_bytes_max bigint default 33554432,
    p_delays_ms bigint[] default null, p_windows_ms bigint[] default null,
    p_spots tid[] default null, p_partition_spots tid[] default null
) returns table (
    place integer, first_offset bigint, offsets bigint[], attempt integer, head bigint,
    transaction_ids text[], payloads text[], created_ats timestamptz[], extras text, held_ms bigint, spot tid
) language plpgsql set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $pop$
#variable_conflict use_column
declare
    v_again  bigint[];          -- null, or the only candidates that are looked at
    v_leased integer;
begin
    if p_several then
        insert into leases (lease_id, partition_ids, created_at)
        select u.lease_id, array_agg(u.partition_id), now()
          from unnest(p_partition_ids, p_lease_ids) u (partition_id, lease_id)
         where u.lease_id is not null
         group by u.lease_id having count(*) > 1;
    end if;
    if not p_several and p_delays_ms is null and p_windows_ms is null
       and array_position(p_spots, null) is null and array_position(p_partition_spots, null) is null
       and p_spots is not null and p_partition_spots is not null
    then
        return query %2$s
        get diagnostics v_leased = row_count;
        if v_leased = cardinality(p_partition_ids) then
            return;
        end if;
        -- Perhaps the rows of the others moved. What was leased above was changed by this transaction.
        v_again := array(
            select i.n
              from unnest(p_partition_ids, p_groups) with ordinality i (partition_id, consumer_group, n)
              join cursors c on c.partition_id = i.partition_id and c.consumer_group = i.consumer_group
             where c.xmin <> pg_current_xact_id()::xid);
    end if;
    return query %3$s
end
$pop$
$template$, p_epoch, format(c_query, p_epoch, c_by_place, ''), format(c_query, p_epoch, c_by_any, c_held));
end
$$;
