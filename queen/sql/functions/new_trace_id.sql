-- new_trace_id(at) → uuid
-- A UUID of version 7: the time in milliseconds and then in microseconds, so that ids of one moment keep their order
-- (RFC 9562, method 3), then chance.
create or replace function new_trace_id(p_at timestamptz) returns uuid
language sql volatile set search_path from current as $$
    select (lpad(to_hex(t.us / 1000), 12, '0') || '7' || lpad(to_hex(t.us % 1000), 3, '0')
            || substr(replace(gen_random_uuid()::text, '-', ''), 17))::uuid
      from (select (extract(epoch from p_at) * 1000000)::bigint as us) t
$$;
