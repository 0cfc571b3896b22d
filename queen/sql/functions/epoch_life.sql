-- epoch_life(epoch) → stored, needed, scheduled: numbers of messages of a recorded epoch
--   stored      all that are in the order
--   needed      those that are not hidden, whose transaction id is in its queue's deduplication window, or that lie
--               under a live lease; in the last two cases all of their partition's in this epoch
--   scheduled   those without a place in the order; 1001 means more than a thousand
-- Counted from offsets, one row per partition; no message is read but the scheduled ones.
create or replace function epoch_life(p_epoch integer) returns table (stored bigint, needed bigint, scheduled bigint)
language plpgsql stable set search_path from current as $$
begin
    select coalesce(sum(s.last_offset - s.first_offset + 1), 0),
           coalesce(sum(greatest(0, s.last_offset - needed_from(s, p.first_offset, q.dedup_window_s) + 1)), 0)
      into stored, needed
      from spans s
      left join partitions p on p.partition_id = s.partition_id
      left join queues q on q.queue_id = p.queue_id
     where s.epoch = p_epoch;
    execute format('select count(*) from (select from messages_%s m
                     where m.scheduled_at is not null and m.status = ''scheduled'' limit 1001) m', p_epoch)
       into scheduled;
    return next;
end
$$;
