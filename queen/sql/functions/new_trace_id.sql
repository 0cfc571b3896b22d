-- new_trace_id(at) → uuid
-- A UUID of version 7: the time in milliseconds, then chance.
create or replace function new_trace_id(p_at timestamptz) returns uuid
language sql volatile set search_path from current as $$
    select (lpad(to_hex((extract(epoch from p_at) * 1000)::bigint), 12, '0') || '7'
            || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid
$$;
