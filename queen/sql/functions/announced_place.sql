-- announced_place(first_id) → bigint
-- The offset that message_id() put into an id: the place outside the order that a message had first. Null for null.
create or replace function announced_place(p_first_id uuid) returns bigint
language sql immutable strict parallel safe set search_path from current as $$
    select v.place - ((v.place >> 59) << 60)
      from (select ('x' || right(replace(p_first_id::text, '-', ''), 15))::bit(60)::bigint as place) v
$$;
