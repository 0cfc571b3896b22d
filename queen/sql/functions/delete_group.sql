-- delete_group(group, delete_metadata) → number of partitions it had a cursor on
-- Drops the group's cursors and leases on every queue, and with delete_metadata its registrations. A named group is
-- registered or counted wherever it has a cursor (see seek()), so only those queues are walked; queue mode is never
-- registered: all are.
-- Tables written, in lock order: cursors (by partition), subscriptions, group_stats (by queue).
create or replace function delete_group(p_group text, p_delete_metadata boolean) returns bigint
language plpgsql set search_path from current as $$
declare
    v_count bigint;
begin
    delete from cursors c using partitions p
     where c.partition_id = p.partition_id and c.consumer_group = p_group
       and (p_group = '__QUEUE_MODE__'
            or p.queue_id in (select s.queue_id from subscriptions s where s.consumer_group = p_group
                               union select g.queue_id from group_stats g where g.consumer_group = p_group));
    get diagnostics v_count = row_count;
    if p_delete_metadata then
        delete from subscriptions where consumer_group = p_group;
    end if;
    delete from group_stats g
     using (select t.queue_id, t.consumer_group from group_stats t where t.consumer_group = p_group
             order by t.queue_id for update) d
     where g.queue_id = d.queue_id and g.consumer_group = d.consumer_group;
    return v_count;
end
$$;
