-- delete_group_from(queue, group, delete_metadata) → number of partitions it had a cursor on
-- delete_group() on one queue. An unknown queue or group had none.
-- Tables written, in lock order: cursors (by partition), subscriptions, group_stats.
create or replace function delete_group_from(p_queue text, p_group text, p_delete_metadata boolean) returns bigint
language plpgsql set search_path from current set enable_seqscan = off as $$
declare
    v_queue_id  integer := (select queue_id from queues where name = p_queue);
    v_count     bigint;
begin
    perform from partitions p join cursors c on c.partition_id = p.partition_id and c.consumer_group = p_group
      where p.queue_id = v_queue_id order by c.partition_id for update of c;
    delete from cursors c using partitions p
     where p.queue_id = v_queue_id and c.partition_id = p.partition_id and c.consumer_group = p_group;
    get diagnostics v_count = row_count;
    if p_delete_metadata then
        delete from subscriptions where queue_id = v_queue_id and consumer_group = p_group;
    end if;
    delete from group_stats where queue_id = v_queue_id and consumer_group = p_group;
    return v_count;
end
$$;
