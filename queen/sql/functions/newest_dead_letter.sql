-- newest_dead_letter(queue) → the highest id of a queue's dead letters, or null
create or replace function newest_dead_letter(p_queue text) returns bigint
language sql stable set search_path from current set enable_seqscan = off set enable_sort = off as $$
    select d.dead_letter_id
      from (select q.queue_id from queues q where q.name = p_queue) q
     cross join lateral (
            select t.dead_letter_id from dead_letters t
             where (t.queue_id, t.dead_letter_id) >= (q.queue_id, 0) and t.queue_id <= q.queue_id
             order by t.queue_id desc, t.dead_letter_id desc limit 1) d
$$;
