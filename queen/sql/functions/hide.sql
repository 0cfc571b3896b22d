-- hide(partition_ids, first_offsets) → number of messages that are out of reach now
-- Moves the beginning of partitions up, and with it every cursor that stands below and holds no live lease: it resumes
-- at the oldest kept. Where a cursor is left below, the partition is marked to be looked at again. Partitions and
-- cursors that are locked by another call are left for the next time, so that nobody waits.
-- Tables written, in lock order: partitions (by id), cursors (by partition, group).
create or replace function hide(p_partition_ids bigint[], p_first_offsets bigint[]) returns bigint
language plpgsql set search_path from current set enable_seqscan = off as $$
declare
    v_ids       bigint[];
    v_firsts    bigint[];
    v_hidden    bigint;
    v_behind    bigint[];
begin
    -- Read apart from the update: it looks into the children, and the rows below stay locked to the end.
    select array_agg(l.partition_id), array_agg(l.first_offset), coalesce(sum(l.first_offset - l.was), 0)
      into v_ids, v_firsts, v_hidden
      from (select p.partition_id, greatest(p.first_offset, least(u.first_offset, p.next_offset)) as first_offset,
                   p.first_offset as was
              from unnest(p_partition_ids, p_first_offsets) u (partition_id, first_offset)
              join partitions p on p.partition_id = u.partition_id
             order by p.partition_id for no key update of p skip locked) l;
    if v_ids is null then
        return 0;
    end if;

    update cursors c
       set acked = b.first_offset - 1, lease_end = b.first_offset - 1, lease_id = null, lease_until = null,
           deliveries = 0, retries = 0, epoch = greatest(c.epoch, coalesce(epoch_of(c.partition_id, b.first_offset), 0))
      from (select t.partition_id, t.consumer_group, u.first_offset
              from unnest(v_ids, v_firsts) u (partition_id, first_offset)
              join cursors t on t.partition_id = u.partition_id
             where t.acked < u.first_offset - 1 and (t.lease_id is null or t.lease_until <= now())
             order by 1, 2 for no key update of t skip locked) b
     where c.partition_id = b.partition_id and c.consumer_group = b.consumer_group;
    select array_agg(distinct c.partition_id) into v_behind
      from unnest(v_ids, v_firsts) u (partition_id, first_offset)
      join cursors c on c.partition_id = u.partition_id
     where c.acked < u.first_offset - 1;

    update partitions p
       set first_offset = u.first_offset,
           first_at = case when p.partition_id = any (v_behind) then '-infinity'
                           else coalesce(stored_at(p.partition_id, u.first_offset), p.last_write_at) end
      from unnest(v_ids, v_firsts) u (partition_id, first_offset)
     where p.partition_id = u.partition_id;
    return v_hidden;
end
$$;
