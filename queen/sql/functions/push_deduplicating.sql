-- push_deduplicating(partition_ids, counts, places, transaction_ids, payloads, trace_ids, producer_subs, wait,
--                    scheduled_ats, delays_ms) → one row per message, in input order
--
-- The thorough form of push(), for a call in which push() met a stored transaction id or a locked partition, or with
-- messages for later. Same parameters. It finds out which messages are duplicates. With `wait` it waits for the partition
-- locks, in id order; without, a partition that is locked elsewhere counts as gone.
--   scheduled_ats, delays_ms   one entry per message, or null when no message has one: when it takes its place in the
--                              order, as a time or as milliseconds from now. A time that has passed means at once.
-- A message for later stands outside the order, under a negative offset, until place_due() moves it.
-- Columns: n (counted from 1), "offset" (of the stored message; for a duplicate that of the first one, and of a message
-- that was moved the place it was announced under; null when the partition is gone, or locked), duplicate, due_ms (how
-- long until a message stored for later is due). Within one call the first of equal ids wins.
-- Tables written, in lock order: partitions (by id), scheduled_places (by partition), messages.
create or replace function push_deduplicating(
    p_partition_ids bigint[], p_counts integer[], p_places integer[], p_transaction_ids text[], p_payloads text[],
    p_trace_ids uuid[], p_producer_subs text[], p_wait boolean default true,
    p_scheduled_ats timestamptz[] default null, p_delays_ms bigint[] default null
) returns table (n bigint, "offset" bigint, duplicate boolean, due_ms bigint)
language plpgsql set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_free      bigint[];       -- the partitions that could be locked at once; without `wait` only
    v_bases     bigint[];       -- per partition: its next offset, or null when it is gone
    v_queues    integer[];
    v_onces     boolean[];      -- per partition: does its queue deduplicate
    v_epochs    integer[];
    v_originals bigint[];       -- per message: ordinal of the first of this call with the same transaction id
    v_stored    bigint[];       -- per message: offset of the message stored earlier under its transaction id, or null
    v_offsets   bigint[];       -- per message: the offset it gets, or null
    v_dues      timestamptz[];  -- per message: when it is due, or null for one of the order
    v_firsts    bigint[];       -- per partition: the first of its places outside the order
    v_last      timestamptz;
    v_clock     timestamptz;
    v_now       timestamptz;
begin
    if not p_wait then
        select array_agg(f.partition_id) into v_free from (
            select t.partition_id from partitions t where t.partition_id = any (p_partition_ids)
             order by t.partition_id for no key update skip locked) f;
    end if;

    select array_agg(l.next_offset), array_agg(l.queue_id), array_agg(coalesce(l.once, false)),
           array_agg(greatest(l.epoch, l.newest)), max(l.last_write_at)
      into v_bases, v_queues, v_onces, v_epochs, v_last
      from (select p.*, q.dedup_window_s > 0 as once, (select max(e.epoch) from epochs e) as newest
              from unnest(p_partition_ids) with ordinality i (partition_id, n)
              left join lateral (
                    select t.next_offset, t.queue_id, t.epoch, t.last_write_at
                      from partitions t
                     where t.partition_id = i.partition_id and (p_wait or t.partition_id = any (v_free))
                       for no key update) p on true
              left join queues q on q.queue_id = p.queue_id
             order by i.n) l;
    v_clock := clock_timestamp();
    v_now := greatest(v_clock, v_last);

    if p_scheduled_ats is not null or p_delays_ms is not null then
        select array_agg(case when u.due_at > v_clock then u.due_at end order by u.n) into v_dues
          from (select s.n, coalesce(s.scheduled_at, v_clock + s.delay_ms * interval '1 millisecond') as due_at
                  from unnest(p_scheduled_ats, p_delays_ms) with ordinality s (scheduled_at, delay_ms, n)) u;
    end if;

    -- A statement of its own, so with a snapshot that sees all that was committed before the locks were ours.
    select array_agg(u.original order by u.n), array_agg(u.stored order by u.n) into v_originals, v_stored
      from (select i.n,
                   case when v_onces[i.place]
                        then min(i.n) over (partition by i.place, i.transaction_id) else i.n end as original,
                   case when v_onces[i.place] then (
                        select min(coalesce(announced_place(m.first_id), m."offset")) from messages m
                         where m.transaction_id = i.transaction_id and m.partition_id = p_partition_ids[i.place]
                           and m.once) end as stored
              from unnest(p_places, p_transaction_ids) with ordinality i (place, transaction_id, n)) u;

    if v_dues is not null then
        with wanted as (
            select i.place, count(*) as count
              from unnest(p_places) with ordinality i (place, n)
             where v_dues[i.n] is not null and v_stored[i.n] is null and v_originals[i.n] = i.n
               and v_bases[i.place] is not null
             group by i.place
        ), taken as (
            insert into scheduled_places as t (partition_id, next_place)
            select p_partition_ids[w.place], -1 - w.count from wanted w order by 1
            on conflict (partition_id) do update set next_place = t.next_place + excluded.next_place + 1
            returning t.partition_id, t.next_place
        )
        select array_agg(t.next_place + w.count order by u.place) into v_firsts
          from unnest(p_partition_ids) with ordinality u (partition_id, place)
          left join wanted w on w.place = u.place
          left join taken t on t.partition_id = u.partition_id;
    end if;

    select array_agg(u.fresh order by u.n) into v_offsets
      from (select i.n,
                   case when v_stored[i.n] is not null or v_originals[i.n] <> i.n then null
                        when v_dues[i.n] is null
                        then v_bases[i.place] - 1 + count(*) filter (
                                 where v_stored[i.n] is null and v_originals[i.n] = i.n and v_dues[i.n] is null)
                             over (partition by i.place order by i.n)
                        else v_firsts[i.place] + 1 - count(*) filter (
                                 where v_stored[i.n] is null and v_originals[i.n] = i.n and v_dues[i.n] is not null)
                             over (partition by i.place order by i.n) end as fresh
              from unnest(p_places) with ordinality i (place, n)) u;

    update partitions p
       set next_offset = p.next_offset + i.fresh, last_write_at = v_now, epoch = v_epochs[i.place],
           epoch_first_offset = case when v_epochs[i.place] > p.epoch then p.next_offset else p.epoch_first_offset end
      from (select u.place, count(u."offset") as fresh
              from unnest(p_places, v_offsets) u (place, "offset") where u."offset" >= 0 group by u.place) i
     where p.partition_id = p_partition_ids[i.place];

    insert into messages (partition_id, "offset", created_at, queue_id, epoch, status, once, transaction_id, payload,
                          trace_id, producer_sub, scheduled_at)
    select p_partition_ids[i.place], i."offset", v_now, v_queues[i.place], v_epochs[i.place],
           case when i."offset" >= 0 then 'pending'::message_status else 'scheduled' end,
           nullif(v_onces[i.place], false), i.transaction_id, i.payload, i.trace_id, i.producer_sub, v_dues[i.n]
      from unnest(p_places, p_transaction_ids, p_payloads, p_trace_ids, p_producer_subs, v_offsets)
           with ordinality i (place, transaction_id, payload, trace_id, producer_sub, "offset", n)
     where i."offset" is not null
     order by i.n;

    return query
    select i.n, coalesce(v_stored[i.n], v_stored[v_originals[i.n]], v_offsets[v_originals[i.n]]),
           v_stored[i.n] is not null or v_originals[i.n] <> i.n,
           case when v_offsets[i.n] < 0 then ceil(extract(epoch from v_dues[i.n] - v_clock) * 1000)::bigint end
      from unnest(p_places) with ordinality i (place, n)
     order by i.n;
end
$$;
