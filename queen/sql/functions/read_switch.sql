-- read_switch(name) → is_on, version
create or replace function read_switch(p_name text) returns table (is_on boolean, version bigint)
language sql stable set search_path from current as $$
    select s.is_on, s.version from switches s where s.name = p_name
$$;
