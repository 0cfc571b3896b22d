-- Which settings this role may change with ALTER SYSTEM; PostgreSQL 15 and later.
-- Parameters: names. Returns (name, allowed). Tables written: none.
select name, has_parameter_privilege(name, 'alter system') as allowed from unnest(%(names)s::text[]) as name
