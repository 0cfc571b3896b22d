-- skip_gaps(partition_ids, groups) → number of cursors that moved
-- Moves cursors that stand before places where no message is stored, because it was deleted, to just before the next
-- message, or to the end of the partition. What a live lease or a retry delay holds stays. Called when such a place was
-- made, and by whoever found nothing to lease where something should be.
-- The end of the partition is read first: what was stored before it is visible to every later statement.
-- Tables written: cursors (by partition, group).
create or replace function skip_gaps(p_partition_ids bigint[], p_groups text[]) returns integer
language plpgsql set search_path from current set enable_seqscan = off as $$
declare
    c       record;
    v_epoch integer;
    v_next  bigint;
    v_moved integer := 0;
begin
    for c in
        select t.partition_id, t.consumer_group, t.acked, p.next_offset
          from (select distinct u.partition_id, u.consumer_group
                  from unnest(p_partition_ids, p_groups) u (partition_id, consumer_group)) u
         cross join lateral (
                select * from cursors s
                 where s.partition_id = u.partition_id and s.consumer_group = u.consumer_group) t
          join partitions p on p.partition_id = t.partition_id
         where t.acked + 1 < p.next_offset and (t.lease_until is null or t.lease_until <= now())
         order by t.partition_id, t.consumer_group
    loop
        v_next := c.next_offset;
        v_epoch := epoch_of(c.partition_id, c.acked + 1);
        if v_epoch is not null then
            execute format('select m."offset" from messages_%s m where m.partition_id = $1 and m."offset" > $2
                             order by m.partition_id, m."offset" limit 1', v_epoch)
               into v_next using c.partition_id, c.acked;
        end if;
        continue when v_next is null or v_next = c.acked + 1;
        v_next := least(v_next, c.next_offset);
        update cursors t
           set acked = v_next - 1, lease_end = v_next - 1, lease_id = null, lease_until = null, deliveries = 0,
               retries = 0, epoch = greatest(t.epoch, v_epoch)
         where t.partition_id = c.partition_id and t.consumer_group = c.consumer_group and t.acked = c.acked
           and (t.lease_until is null or t.lease_until <= now());
        if found then
            v_moved := v_moved + 1;
        end if;
    end loop;
    return v_moved;
end
$$;
