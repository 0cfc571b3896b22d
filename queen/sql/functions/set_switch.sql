-- set_switch(name, is_on) → is_on, version
-- Turns a switch on or off; one that stands so already stays as it is. Two calls at once go one after the other.
-- Tables written: switches.
create or replace function set_switch(p_name text, p_is_on boolean) returns table (is_on boolean, version bigint)
language plpgsql set search_path from current as $$
#variable_conflict use_column
begin
    update switches s set is_on = p_is_on, version = s.version + 1, changed_at = clock_timestamp()
     where s.name = p_name and s.is_on <> p_is_on;
    return query select r.is_on, r.version from read_switch(p_name) r;
end
$$;
