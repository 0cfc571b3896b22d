-- seek_queue(queue_id, group, at, after, limit) → after, sought
-- seek() of one page of a queue's partitions, those behind `after`. The next call takes the returned `after`; null: the
-- queue is through. `sought` is how many cursors this page set.
-- The page is a range of (queue, partition) without a sort, as in ready_partitions().
-- Tables written, in lock order: partitions (shared), cursors, group_stats; see seek().
create or replace function seek_queue(p_queue_id integer, p_group text, p_at timestamptz, p_after bigint, p_limit integer)
returns table (after bigint, sought bigint)
language plpgsql set search_path from current set enable_seqscan = off
    set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_ids bigint[];
begin
    select array_agg(t.partition_id), case when count(*) = p_limit then max(t.partition_id) end into v_ids, after
      from (select p.partition_id from partitions p
             where (p.queue_id, p.partition_id) > (p_queue_id, p_after) and p.queue_id <= p_queue_id
             order by p.queue_id, p.partition_id limit p_limit) t;
    sought := coalesce(seek(v_ids, p_group, p_at), 0);
    return next;
end
$$;
