-- record_spans(epoch, after, limit) → the partition to go on after; null when there is nothing (more) to do
-- Writes down what a settled epoch holds of up to `limit` partitions. Epochs are recorded oldest first: epoch_of()
-- counts on that.
-- Tables written: spans, epochs.
create or replace function record_spans(p_epoch integer, p_after bigint, p_limit integer) returns bigint
language plpgsql set search_path from current as $$
declare
    v_last  bigint;
    v_count bigint;
begin
    if not begin_upkeep(0) or p_epoch <> (select min(epoch) from epochs where recorded_at is null)
       or not settle_epoch(p_epoch) then
        return null;
    end if;
    with walked as materialized (
        select * from walk_child('messages_' || p_epoch, p_after, p_limit)
    ), kept as (
        insert into spans (epoch, partition_id, queue_id, first_offset, last_offset, last_at)
        select p_epoch, w.partition_id, w.queue_id, w.first_offset, w.last_offset, w.last_at
          from walked w where w.last_offset is not null
        on conflict do nothing
    )
    select max(w.partition_id), count(*) into v_last, v_count from walked w;
    if v_count < p_limit then
        update epochs set recorded_at = clock_timestamp() where epoch = p_epoch;
        return null;
    end if;
    return v_last;
end
$$;
