-- place_due(limit, bytes_max, skip) → one row
--
-- Gives messages that are due their place at the end of the order of their partition: each row is deleted where it stands
-- and stored again under the next offset, in the newest epoch, with the time of this move and the id that it was
-- announced under. Those of one partition come in the order of their times, then of their pushes.
--   limit, bytes_max   at most so many messages; no further one once the payloads have reached so many bytes
--   skip               partitions to leave alone: those that the caller found blocked a moment ago
-- Columns
--   partition_ids, heads   the partitions that got messages, and the offset after the newest one
--   placed                 how many messages were placed
--   blocked                partitions with due messages whose row is locked elsewhere
--   due_ms                 how long until the next message outside `skip` and `blocked` is due: 0 or less means call again,
--                          null that nothing is scheduled
-- Waits for no partition; two calls at once take different ones. Rows of queues that were deleted are dropped here.
-- A transaction id that is stored a second time by now, after the window of its first copy, stays without a guard.
-- Tables written, in lock order: partitions (by id), messages.
create or replace function place_due(
    p_limit integer, p_bytes_max bigint, p_skip bigint[],
    out partition_ids bigint[], out heads bigint[], out placed bigint, out blocked bigint[], out due_ms bigint
)
language plpgsql set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_clock     timestamptz := clock_timestamp();
    v_due       bigint[];       -- partitions with due messages
    v_gone      bigint[];       -- those of them that were deleted with their queue
    v_bases     bigint[];       -- per locked partition: its next offset
    v_epoch     integer;        -- where the messages go
    v_last      timestamptz;
    v_now       timestamptz;
    v_next      timestamptz;
begin
    partition_ids := '{}'; heads := '{}'; placed := 0; blocked := '{}';

    -- Every statement opens all children of messages; mostly nothing is due, and this one is the only one.
    select min(m.scheduled_at) into v_next
      from messages m where m.scheduled_at is not null and m.partition_id <> all (p_skip);
    if v_next is null or v_next > v_clock then
        due_ms := ceil(extract(epoch from v_next - v_clock) * 1000);
        return;
    end if;

    select array_agg(distinct d.partition_id) into v_due from (
        select m.partition_id from messages m
         where m.scheduled_at <= v_clock and m.partition_id <> all (p_skip)
         order by m.scheduled_at limit p_limit) d;

    v_due := coalesce(v_due, '{}');
    select array_agg(l.partition_id), array_agg(l.next_offset), max(l.epoch), max(l.last_write_at)
      into partition_ids, v_bases, v_epoch, v_last
      from (select p.partition_id, p.next_offset, p.epoch, p.last_write_at
              from partitions p where p.partition_id = any (v_due)
             order by p.partition_id for no key update skip locked) l;
    partition_ids := coalesce(partition_ids, '{}');
    select coalesce(array_agg(p.partition_id), '{}') into blocked
      from partitions p where p.partition_id = any (v_due) and p.partition_id <> all (partition_ids);

    select array_agg(u.partition_id) into v_gone
      from unnest(v_due) u (partition_id)
     where not exists (select from partitions p where p.partition_id = u.partition_id);
    if v_gone is not null then
        delete from messages m
         using (select g.partition_id, g."offset", g.epoch from messages g
                 where g.scheduled_at <= v_clock and g.partition_id = any (v_gone)
                 order by g.scheduled_at limit p_limit) g
         where m.partition_id = g.partition_id and m."offset" = g."offset" and m.epoch = g.epoch;
    end if;

    -- From here on statements see what was committed before the locks were ours.
    v_epoch := greatest(v_epoch, (select max(e.epoch) from epochs e));
    v_now := greatest(clock_timestamp(), v_last);
    with due as materialized (
        select d.* from (
            select m.partition_id, m."offset", m.epoch, m.scheduled_at,
                   sum(octet_length(m.payload)) over (
                       order by m.scheduled_at rows between unbounded preceding and 1 preceding) as bytes_before
              from messages m
             where m.scheduled_at <= v_clock and m.partition_id = any (partition_ids)
             order by m.scheduled_at limit p_limit) d
         where coalesce(d.bytes_before, 0) < p_bytes_max
    ), taken as (
        delete from messages m using due d
         where m.partition_id = d.partition_id and m."offset" = d."offset" and m.epoch = d.epoch
        returning m.*
    ), ordered as materialized (
        select t.*, row_number() over (partition by t.partition_id order by t.scheduled_at, t."offset" desc) as nth,
               row_number() over (partition by t.partition_id, t.transaction_id order by t."offset" desc) as copy
          from taken t
    ), stored as (
        insert into messages (partition_id, "offset", created_at, queue_id, epoch, once, transaction_id, payload,
                              trace_id, producer_sub, first_id)
        select o.partition_id, v_bases[array_position(partition_ids, o.partition_id)] + o.nth - 1, v_now, o.queue_id,
               v_epoch,
               case when o.copy = 1 and not exists (
                         select from messages m
                          where m.transaction_id = o.transaction_id and m.partition_id = o.partition_id and m.once
                            and m.epoch = v_epoch
                            and not exists (
                                select from due d where d.partition_id = m.partition_id and d."offset" = m."offset"))
                    then o.once end,
               o.transaction_id, o.payload, o.trace_id, o.producer_sub,
               coalesce(o.first_id, message_id(o.partition_id, o."offset"))
          from ordered o order by o.partition_id, o.nth
    ), moved as (
        update partitions p
           set next_offset = p.next_offset + c.count, last_write_at = v_now, epoch = v_epoch,
               epoch_first_offset = case when v_epoch > p.epoch then p.next_offset else p.epoch_first_offset end
          from (select o.partition_id, count(*) as count from ordered o group by o.partition_id) c
         where p.partition_id = c.partition_id
        returning p.partition_id, p.next_offset, c.count
    )
    select coalesce(array_agg(m.partition_id order by m.partition_id), '{}'),
           coalesce(array_agg(m.next_offset order by m.partition_id), '{}'), coalesce(sum(m.count), 0)
      into partition_ids, heads, placed
      from moved m;

    select min(m.scheduled_at) into v_next
      from messages m
     where m.scheduled_at is not null and m.partition_id <> all (p_skip) and m.partition_id <> all (blocked);
    due_ms := ceil(extract(epoch from v_next - clock_timestamp()) * 1000);
end
$$;
