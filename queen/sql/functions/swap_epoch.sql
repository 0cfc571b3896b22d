-- swap_epoch(epoch, lock_ms) → true: the rewritten child has taken the place of the old one
-- Puts messages_<epoch>_new, complete by copy_needed(), in the place of messages_<epoch>, which is left as
-- messages_<epoch>_old for drop_leftovers(). False: nothing to swap, or too many scheduled messages to take along.
-- All that takes time is done before the locks: first the child's, without waiting, then that of `messages`, for which
-- pushes stand in line no longer than lock_ms.
-- Tables written, in lock order: spans, messages_<epoch>, messages.
create or replace function swap_epoch(p_epoch integer, p_lock_ms integer) returns boolean
language plpgsql set search_path from current as $$
declare
    v_old text := format('messages_%s', p_epoch);
    v_new text := format('messages_%s_new', p_epoch);
begin
    if not begin_upkeep(p_lock_ms) or to_regclass(v_new) is null or to_regclass(v_old || '_old') is not null
       or (select scheduled from epoch_life(p_epoch)) > 1000 then
        return false;
    end if;
    delete from spans where epoch = p_epoch;
    insert into spans (epoch, partition_id, queue_id, first_offset, last_offset, last_at)
    select p_epoch, w.partition_id, w.queue_id, w.first_offset, w.last_offset, w.last_at
      from walk_child(v_new, 0, 2147483647) w;

    execute format('lock table %I in access exclusive mode nowait', v_old);
    execute format('insert into %I select m.* from %I m where m.scheduled_at is not null and m.status = ''scheduled''',
                   v_new, v_old);
    lock table messages in access exclusive mode;
    execute format('alter table messages detach partition %I', v_old);
    execute format('alter table %I rename to %I', v_old, v_old || '_old');
    execute format('alter table %I rename to %I', v_new, v_old);
    perform attach_child(p_epoch);
    return true;
end
$$;
