-- traced_name(name) → the number of traces under a name, as kept; 0 for an unknown one
create or replace function traced_name(p_name text) returns bigint
language sql stable set search_path from current as $$
    select coalesce((select t.traces from trace_names t where t.name = p_name), 0)
$$;
