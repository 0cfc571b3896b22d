-- push(partition_ids, counts, places, transaction_ids, payloads, trace_ids, producer_subs, spots) → one row
--
-- Stores messages of many partitions in one call.
--   partition_ids, counts      one entry per partition, ids ascending and distinct: how many messages it gets
--   places                     one entry per message: which partition (1-based index into partition_ids); messages of
--                              one partition stand together, partitions in the order of partition_ids
--   transaction_ids, payloads  one entry per message
--   trace_ids, producer_subs   one entry per message, or null when no message has one
--   spots                      where the rows of the partitions lay after the caller's last change of them (ctid), null
--                              for unknown ones. Only a hint: the key is checked, and else looked up. With it the cost
--                              stays the same while a long transaction elsewhere keeps dead versions of the rows from
--                              being removed; a look-up by key walks through all of them.
-- Columns
--   bases   one entry per partition: the offset of its first message (the rest follow without a gap), or -1: nothing was
--           stored for this partition because its row is locked elsewhere or gone. push_deduplicating() tells the two
--           apart
--   spots   where the rows lie now, of those partitions that got messages, in their order
-- Raises unique_violation when a transaction id is already stored; nothing of the call is kept then, and
-- push_deduplicating() sorts it out. Nothing here waits for a lock, so a blocked partition delays no other.
-- Tables written, in lock order: partitions (by id), messages.
create or replace function push(
    p_partition_ids bigint[], p_counts integer[], p_places integer[], p_transaction_ids text[], p_payloads text[],
    p_trace_ids uuid[], p_producer_subs text[], p_spots tid[] default null,
    out bases bigint[], out spots tid[]
)
language plpgsql set search_path from current set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
    v_spots     tid[] := p_spots;   -- per partition: where its row is said to lie
    v_look_up   boolean := p_spots is null;
    v_locked    tid[];          -- per partition: where its row lies
    v_shifts    bigint[];       -- per partition: what to add to a message's ordinal to get its offset
    v_queues    integer[];
    v_onces     boolean[];
    v_epochs    integer[];
    v_last      timestamptz;
    v_newest    integer;
    v_oldest    integer;
    v_highest   integer;        -- of the epochs that get messages; above v_newest when one was opened meanwhile
    v_now       timestamptz;
begin
    select max(epoch), min(epoch) into v_newest, v_oldest from epochs;

    -- The row lock is held to commit: commit order is offset order. Nothing waits, so two calls cannot deadlock. Rows that
    -- are not where the hint says are looked up by key, and then all are taken by place once more.
    loop
        if v_look_up then
            v_spots := array(
                select coalesce(i.spot, (
                        -- The newest version lies last as a rule: from the end, the dead ones are not walked through.
                        select t.ctid from partitions t
                         where t.partition_id >= i.partition_id and t.partition_id <= i.partition_id
                         order by t.partition_id desc limit 1))
                  from unnest(p_partition_ids, v_locked) with ordinality i (partition_id, spot, n)
                 order by i.n);
        end if;
        select array_agg(coalesce(t.next_offset, -1)), array_agg(t.next_offset - i.preceding - 1),
               array_agg(coalesce(t.queue_id, 0)), array_agg(coalesce(q.dedup_window_s > 0, false)),
               array_agg(coalesce(greatest(t.epoch, v_newest), 0)), max(t.last_write_at),
               greatest(max(t.epoch), v_newest), array_agg(t.spot)
          into bases, v_shifts, v_queues, v_onces, v_epochs, v_last, v_highest, v_locked
          from (select u.partition_id, u.spot, sum(u.count) over (order by u.n) - u.count as preceding
                  from unnest(p_partition_ids, p_counts, v_spots)
                       with ordinality u (partition_id, count, spot, n)
                 order by u.n) i
          left join lateral (
                select t.ctid as spot, t.next_offset, t.queue_id, t.epoch, t.last_write_at
                  from partitions t where t.ctid = i.spot and t.partition_id = i.partition_id
                   for no key update skip locked) t on true
          left join queues q on q.queue_id = t.queue_id;
        exit when v_look_up or array_position(v_locked, null) is null;
        v_look_up := true;
    end loop;

    -- Read after the locks are held, and never behind the partition's last message: created_at follows offset order.
    v_now := greatest(clock_timestamp(), v_last);

    -- The unique index sees one child. What older ones may still hold inside the window is looked for here.
    if v_oldest < v_highest and stored_earlier(v_highest, v_queues, p_partition_ids, v_onces, p_places, p_transaction_ids)
    then
        raise unique_violation using message = 'a transaction id is already stored in an older epoch';
    end if;

    with moved as (
        update partitions p
           set next_offset = p.next_offset + i.count, last_write_at = v_now, epoch = i.epoch,
               epoch_first_offset = case when i.epoch > p.epoch then p.next_offset else p.epoch_first_offset end
          from unnest(v_locked, p_counts, v_epochs) with ordinality i (spot, count, epoch, n)
         where p.ctid = i.spot               -- it is locked, so it lies there until now
        returning i.n, p.ctid as spot
    )
    select array_agg(m.spot order by m.n) into spots from moved m;

    insert into messages (partition_id, "offset", created_at, queue_id, epoch, once, transaction_id, payload,
                          trace_id, producer_sub)
    select p_partition_ids[i.place], v_shifts[i.place] + i.n, v_now, v_queues[i.place], v_epochs[i.place],
           nullif(v_onces[i.place], false), i.transaction_id, i.payload, i.trace_id, i.producer_sub
      from unnest(p_places, p_transaction_ids, p_payloads, p_trace_ids, p_producer_subs)
           with ordinality i (place, transaction_id, payload, trace_id, producer_sub, n)
     where bases[i.place] >= 0
     order by i.n;
end
$$;
