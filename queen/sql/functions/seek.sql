-- seek(partition_ids, group, at) → number of cursors that were set
-- Sets a group's cursor on each of these partitions: to the first message stored at or after a time, or behind the last
-- one (a null time, and one ahead). The oldest kept if the time is too old. A cursor that is missing is made; nothing is
-- registered. Live leases end, so that their acks are refused; both counters begin anew.
-- The places of a time are looked up before any cursor is locked: what is stored, popped and acked meanwhile cannot
-- change them. The end is read when the cursors are locked: an ack that was answered before is not undone.
-- Tables written, in lock order: partitions (by id; shared, so that a queue deleted meanwhile leaves no cursor), cursors,
-- group_stats.
create or replace function seek(p_partition_ids bigint[], p_group text, p_at timestamptz) returns bigint
language plpgsql set search_path from current set enable_seqscan = off as $$
declare
    v_ids       bigint[];
    v_places    bigint[];
    v_epochs    integer[];
    v_count     bigint;
begin
    select array_agg(l.partition_id) into v_ids
      from (select p.partition_id from partitions p
             where p.partition_id = any (p_partition_ids) order by p.partition_id for key share) l;
    if v_ids is null then
        return 0;
    end if;
    if p_at <= now() then
        select array_agg(f.found order by u.n), array_agg(f.epoch order by u.n) into v_places, v_epochs
          from unnest(v_ids) with ordinality u (partition_id, n)
          left join offsets_at(v_ids, p_at) f on f.partition_id = u.partition_id;
    end if;

    insert into cursors (partition_id, consumer_group, acked, acked_was, epoch)
    select p.partition_id, p_group, p.first_offset - 1, p.first_offset - 1, p.epoch
      from partitions p where p.partition_id = any (v_ids) order by p.partition_id
    on conflict do nothing;
    perform from cursors c
      where c.partition_id = any (v_ids) and c.consumer_group = p_group order by c.partition_id for no key update;
    update cursors c
       set acked = s.place - 1, lease_end = s.place - 1, lease_id = null, lease_until = null, deliveries = 0, retries = 0,
           -- That it lies below tells whether the group ever acked anything: see count_groups().
           acked_was = s.place - case when c.acked > c.acked_was then 2 else 1 end,
           epoch = case when s.place >= s.epoch_first_offset then s.newest
                        when s.place = s.found and s.epoch is not null then s.epoch
                        else coalesce(epoch_of(s.partition_id, s.place), s.newest) end
      from (select p.partition_id, p.epoch as newest, p.epoch_first_offset, u.found, u.epoch,
                   greatest(coalesce(u.found, p.next_offset), p.first_offset) as place
              from unnest(v_ids, v_places, v_epochs) u (partition_id, found, epoch)
              join partitions p on p.partition_id = u.partition_id) s
     where c.partition_id = s.partition_id and c.consumer_group = p_group;
    get diagnostics v_count = row_count;

    -- A group that never popped is registered nowhere: from here it is known where its cursors are. Counted later.
    insert into group_stats (queue_id, consumer_group, computed_at, members, partitions_with_lag, partitions_ready,
                             total_lag, processing, consumed)
    select p.queue_id, p_group, clock_timestamp(), count(*), 0, 0, 0, 0, false
      from partitions p where p.partition_id = any (v_ids) group by p.queue_id
    on conflict do nothing;
    return v_count;
end
$$;
