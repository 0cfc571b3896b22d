-- empty_epoch(epoch, lock_ms) → true: the child holds nothing now
-- Truncates a child in which nothing has to stay. Cursors that still stand below the beginning of their partition are
-- moved up first; one that holds a live lease keeps the child. Raises lock_not_available when somebody reads the child.
-- Tables written, in lock order: partitions, cursors, messages_<epoch>, spans, epochs.
create or replace function empty_epoch(p_epoch integer, p_lock_ms integer) returns boolean
language plpgsql set search_path from current as $$
declare
    v_life record;
begin
    if not begin_upkeep(p_lock_ms)
       or not exists (select from epochs where epoch = p_epoch and recorded_at is not null and emptied_at is null) then
        return false;
    end if;
    select * into v_life from epoch_life(p_epoch);
    if v_life.needed > 0 or v_life.scheduled > 0 then
        return false;
    end if;
    perform hide(array_agg(b.partition_id order by b.partition_id), array_agg(b.first_offset order by b.partition_id))
       from (select distinct p.partition_id, p.first_offset
               from spans s
               join partitions p on p.partition_id = s.partition_id
               join cursors c on c.partition_id = s.partition_id
              where s.epoch = p_epoch and c.acked < s.last_offset) b;
    if exists (select from spans s join cursors c on c.partition_id = s.partition_id
                where s.epoch = p_epoch and c.acked < s.last_offset) then
        return false;
    end if;
    execute format('lock table messages_%s in access exclusive mode nowait', p_epoch);
    execute format('truncate table messages_%s', p_epoch);
    delete from spans where epoch = p_epoch;
    update epochs set emptied_at = clock_timestamp() where epoch = p_epoch;
    return true;
end
$$;
