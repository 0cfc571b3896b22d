-- delete_queue(queue) → true when it existed
-- Removes the queue with its partitions, cursors, registrations and dead letters. Its messages are out of reach at
-- once, because partition ids are never used again; their rows leave with their epoch, those of scheduled messages when
-- they are due.
-- Tables written, in lock order: queues, partitions (by id), cursors, scheduled_places, subscriptions,
-- dead_letters, queue_stats, group_stats.
create or replace function delete_queue(p_queue text) returns boolean
language plpgsql set search_path from current as $$
declare
    v_id integer;
begin
    delete from queues where name = p_queue returning queue_id into v_id;
    if v_id is null then
        return false;
    end if;
    perform from partitions where queue_id = v_id order by partition_id for update;
    delete from cursors c using partitions p where p.queue_id = v_id and c.partition_id = p.partition_id;
    delete from scheduled_places s using partitions p where p.queue_id = v_id and s.partition_id = p.partition_id;
    delete from partitions where queue_id = v_id;
    delete from subscriptions where queue_id = v_id;
    delete from dead_letters where queue_id = v_id;
    delete from queue_stats where queue_id = v_id;
    delete from group_stats where queue_id = v_id;
    return true;
end
$$;
