-- new_transaction_id() → text
-- A UUID version 7 by the clock, for a message whose producer named no transaction id.
create or replace function new_transaction_id() returns text
language sql volatile set search_path from current as $$
    select encode(set_byte(v.bytes, 6, get_byte(v.bytes, 6) & 15 | 112), 'hex')::uuid::text
      from (select overlay(uuid_send(gen_random_uuid()) placing substring(
                        int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1) as bytes) v
$$;
