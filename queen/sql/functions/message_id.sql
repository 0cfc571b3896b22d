-- message_id(partition_id, offset) → uuid
-- The id of a message on the wire, as queen/model.py encodes it: the offset in the last 60 bits, in two's complement.
create or replace function message_id(p_partition_id bigint, p_offset bigint) returns uuid
language sql immutable strict parallel safe set search_path from current as $$
    select (lpad(to_hex(p_partition_id), 12, '0') || '80008' || right(lpad(to_hex(p_offset), 16, '0'), 15))::uuid
$$;
