-- copy_needed(epoch, limit, lock_ms) → number of messages copied; 0: all are; null: somebody else is at it
-- One step of the rewrite of a mostly dead child: copies the next messages that have to stay to messages_<epoch>_new, in
-- the order of the primary key, so that the last row there says where to go on. Scheduled messages are copied by
-- swap_epoch(), because they may still leave.
-- Tables written: messages_<epoch>_new.
create or replace function copy_needed(p_epoch integer, p_limit integer, p_lock_ms integer) returns integer
language plpgsql set search_path from current as $$
declare
    v_new       text := format('messages_%s_new', p_epoch);
    v_part      bigint;
    v_offset    bigint;
    v_copied    integer := 0;
    v_count     integer;
    s           record;
begin
    if not begin_upkeep(p_lock_ms)
       or not exists (select from epochs where epoch = p_epoch and recorded_at is not null and emptied_at is null) then
        return null;
    end if;
    if to_regclass(v_new) is null then
        perform create_child(v_new, p_epoch);
    end if;
    execute format('select m.partition_id, m."offset" from %I m order by m.partition_id desc, m."offset" desc limit 1',
                   v_new) into v_part, v_offset;
    for s in
        select t.partition_id, t.last_offset, needed_from(t, p.first_offset, q.dedup_window_s) as needed_from
          from spans t
          join partitions p on p.partition_id = t.partition_id
          left join queues q on q.queue_id = p.queue_id
         where t.epoch = p_epoch and t.partition_id >= coalesce(v_part, 0)
         order by t.partition_id
    loop
        continue when s.needed_from > s.last_offset;
        execute format('insert into %I select m.* from messages_%s m
                         where m.partition_id = $1 and m."offset" >= $2
                         order by m.partition_id, m."offset" limit $3', v_new, p_epoch)
          using s.partition_id,
                case when s.partition_id = v_part then greatest(s.needed_from, v_offset + 1) else s.needed_from end,
                p_limit - v_copied;
        get diagnostics v_count = row_count;
        v_copied := v_copied + v_count;
        exit when v_copied >= p_limit;
    end loop;
    return v_copied;
end
$$;
