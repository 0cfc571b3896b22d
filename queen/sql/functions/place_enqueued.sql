-- place_enqueued(limit, bytes_max, from, again, after_xid, after_number, skip_queues, skip_partitions) → one row
--
-- Gives messages of committed callers (see enqueue_many()) their place: those that are due at the end of the order of
-- their partition, those for later outside the order, as a push would. Queues and partitions are created where missing,
-- duplicates are dropped. Those of one transaction and partition keep their order.
--   limit, bytes_max   at most so many messages; no further one once the payloads have reached so many bytes
--   from, again        look only at transactions from this number on, and at these: the rest was found before. With 0
--                      and an empty array, at all
--   after_xid, after_number   go on behind this message: `last_xid` and `last_number` of the call before, if it had `more`
--   skip_queues, skip_partitions   partitions, by name, to leave alone: those that were found blocked a moment ago
-- Columns
--   partition_ids, heads   the partitions that got messages into their order, and the offset after the newest one
--   placed, duplicates     how many messages were placed, in the order or outside, and how many dropped
--   due_ms                 how long until the first of those outside the order is due; null without any
--   blocked_queues, blocked_partitions   partitions whose row is locked elsewhere: their messages are left
--   more, last_xid, last_number   there may be more, behind this message; call again with the same `from` and `again`
--   next_from, next_again  those of the first call of a look are for the next one, if nothing was blocked: what was running
--                          then. So rows that were moved, and stay in the way of a look while some old transaction is
--                          open, are not walked over again and again
-- Null `placed`: somebody else is at it. One at a time, so that the order is kept; waits for no partition.
-- Tables written, in lock order: queues, counters, partitions (by resolve), partitions (by id), scheduled_places,
-- messages, enqueued.
create or replace function place_enqueued(
    p_limit integer, p_bytes_max bigint, p_from bigint, p_again bigint[], p_after_xid bigint, p_after_number bigint,
    p_skip_queues text[], p_skip_partitions text[],
    out partition_ids bigint[], out heads bigint[], out placed bigint, out duplicates bigint, out due_ms bigint,
    out blocked_queues text[], out blocked_partitions text[], out more boolean, out next_from bigint,
    out next_again bigint[], out last_xid bigint, out last_number bigint
)
language plpgsql set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
    v_xids      bigint[];       -- per message, in the order of transactions
    v_numbers   bigint[];
    v_queues    text[];
    v_names     text[];
    v_ids       bigint[];       -- per partition, ascending
    v_q         text[];
    v_p         text[];
    v_counts    integer[];
    v_places    integer[];      -- from here on per message, those of a partition side by side
    v_txids     text[];
    v_payloads  text[];
    v_traces    uuid[];
    v_dues      timestamptz[];
    v_bases     bigint[];       -- per partition: where its messages begin, or -1
    v_offsets   bigint[];       -- per message: null when it was left
    v_copies    boolean[];
begin
    partition_ids := '{}'; heads := '{}'; blocked_queues := '{}'; blocked_partitions := '{}'; more := false;
    if not pg_try_advisory_xact_lock(hashtextextended('queen enqueued ' || current_schema(), 0)) then
        return;
    end if;
    placed := 0; duplicates := 0;

    -- The two ranges are walked apart, so that each is one of the primary key. Those of `again` are all below `from`.
    with candidates as materialized (
        select c.*, sum(octet_length(c.payload)) over (
                        order by c.xid, c.number rows between unbounded preceding and 1 preceding) as bytes_before
          from (select e.xid, e.number, e.queue, e.partition, e.payload
                  from (select distinct u.xid from unnest(p_again) u (xid) where u.xid < p_from) a
                 cross join lateral (
                        select t.* from enqueued t
                         where t.xid = a.xid and (t.xid, t.number) > (p_after_xid, p_after_number)
                           and not exists (select from unnest(p_skip_queues, p_skip_partitions) s (queue, partition)
                                            where s.queue = t.queue and s.partition = t.partition)
                         order by t.xid, t.number limit p_limit) e
                 union all
                (select t.xid, t.number, t.queue, t.partition, t.payload from enqueued t
                  where t.xid >= p_from and (t.xid, t.number) > (p_after_xid, p_after_number)
                    and not exists (select from unnest(p_skip_queues, p_skip_partitions) s (queue, partition)
                                     where s.queue = t.queue and s.partition = t.partition)
                  order by t.xid, t.number limit p_limit)
                 order by 1, 2 limit p_limit) c
    ), kept as (
        select * from candidates where coalesce(bytes_before, 0) < p_bytes_max
    )
    select array_agg(k.xid order by k.xid, k.number), array_agg(k.number order by k.xid, k.number),
           array_agg(k.queue order by k.xid, k.number), array_agg(k.partition order by k.xid, k.number),
           (select count(*) from candidates) >= p_limit or (select count(*) from candidates) > count(*),
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
           array(select x::text::bigint from pg_snapshot_xip(pg_current_snapshot()) x)
      into v_xids, v_numbers, v_queues, v_names, more, next_from, next_again
      from kept k;
    if v_xids is null then
        return;
    end if;
    last_xid := v_xids[cardinality(v_xids)]; last_number := v_numbers[cardinality(v_numbers)];

    select array_agg(d.queue), array_agg(d.partition) into v_q, v_p
      from (select distinct u.queue, u.partition from unnest(v_queues, v_names) u (queue, partition)
             order by 1, 2) d;
    select array_agg(r.partition_id order by r.partition_id), array_agg(v_q[r.n] order by r.partition_id),
           array_agg(v_p[r.n] order by r.partition_id)
      into v_ids, v_q, v_p
      from resolve(v_q, v_p) with ordinality r (queue_id, partition_id, epoch, options, n);

    select array_agg(o.xid order by o.nth), array_agg(o.number order by o.nth), array_agg(o.place order by o.nth),
           array_agg(o.transaction_id order by o.nth), array_agg(o.payload order by o.nth),
           array_agg(o.trace_id order by o.nth), array_agg(o.due_at order by o.nth)
      into v_xids, v_numbers, v_places, v_txids, v_payloads, v_traces, v_dues
      from (select e.*, k.place::integer, row_number() over (order by k.place, e.xid, e.number) as nth
              from unnest(v_xids, v_numbers) u (xid, number)
             cross join lateral (
                    select t.* from enqueued t where t.xid = u.xid and t.number = u.number) e
              join unnest(v_q, v_p) with ordinality k (queue, partition, place)
                on k.queue = e.queue and k.partition = e.partition) o;
    select array_agg(c.count order by c.place) into v_counts
      from (select u.place, count(*)::integer as count from unnest(v_places) u (place) group by u.place) c;

    -- Mostly there is neither a duplicate nor one for later, and the plain push does it.
    if not exists (select from unnest(v_dues) u (due_at) where u.due_at > clock_timestamp()) then
        begin
            select p.bases into v_bases
              from push(v_ids, v_counts, v_places, v_txids, v_payloads, v_traces, null) p;
            select array_agg(nullif(v_bases[u.place], -1) order by u.n), array_agg(false) into v_offsets, v_copies
              from unnest(v_places) with ordinality u (place, n);
        exception when unique_violation then
            v_bases := null;
        end;
    end if;
    if v_bases is null then
        select array_agg(d."offset" order by d.n), array_agg(d.duplicate order by d.n), min(d.due_ms)
          into v_offsets, v_copies, due_ms
          from push_deduplicating(v_ids, v_counts, v_places, v_txids, v_payloads, v_traces, null, false, v_dues, null) d;
    end if;

    delete from enqueued e
     using unnest(v_xids, v_numbers, v_offsets) t (xid, number, "offset")
     where t."offset" is not null and e.xid = t.xid and e.number = t.number;
    select count(*) filter (where not t.duplicate), count(*) filter (where t.duplicate) into placed, duplicates
      from unnest(v_offsets, v_copies) t ("offset", duplicate) where t."offset" is not null;
    select coalesce(array_agg(v_q[u.place]), '{}'), coalesce(array_agg(v_p[u.place]), '{}')
      into blocked_queues, blocked_partitions
      from (select distinct t.place from unnest(v_places, v_offsets) t (place, "offset") where t."offset" is null) u;
    select coalesce(array_agg(p.partition_id), '{}'), coalesce(array_agg(p.next_offset), '{}') into partition_ids, heads
      from partitions p
     where p.partition_id in (select v_ids[t.place] from unnest(v_places, v_offsets, v_copies) t (place, "offset", duplicate)
                               where t."offset" >= 0 and not t.duplicate);
end
$$;
