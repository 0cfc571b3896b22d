-- purge_dead_letters(queue, group, after, last, limit) → deleted, after
-- Removes a queue's dead letters of a group (null: of all), oldest first: one step that looks at up to `limit` records
-- with ids above `after`, up to `last`. The returned `after` is where to go on, null when all were looked at.
-- Tables written: dead_letters.
create or replace function purge_dead_letters(
    p_queue text, p_group text, p_after bigint, p_last bigint, p_limit integer, out deleted bigint, out after bigint
)
language plpgsql set search_path from current set enable_seqscan = off as $$
declare
    v_ids   bigint[];
begin
    select array_agg(w.dead_letter_id) filter (where w.dead_letter_id is not null),
           min(w.looked_to) filter (where w.dead_letter_id is null)
      into v_ids, after
      from walk_dead_letters(p_queue, p_group, null, null, null, null, p_after, p_last, p_limit,
                             9223372036854775807) w;
    perform from dead_letters d where d.dead_letter_id = any (v_ids) order by d.dead_letter_id for update;
    delete from dead_letters d where d.dead_letter_id = any (v_ids);
    get diagnostics deleted = row_count;
end
$$;
