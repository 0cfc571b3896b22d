-- take_ids(name, count) → the first of `count` consecutive ids
-- The counter's row stays locked to the end of the transaction, so creators of one kind go one after the other.
create or replace function take_ids(p_name text, p_count bigint) returns bigint
language sql set search_path from current as $$
    update counters set next_id = next_id + p_count where name = p_name returning next_id - p_count
$$;
