-- Storage parameters of the tables of one schema.
-- Parameters: schema. Returns (table_name, parent: the table it is a child of, or empty, parameters: name=value, owned:
-- this role may change them). Tables written: none.
select c.relname as table_name, coalesce(p.relname, '') as parent, coalesce(c.reloptions, '{}') as parameters,
       pg_has_role(current_user, c.relowner, 'usage') as owned
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_inherits i on i.inhrelid = c.oid
  left join pg_class p on p.oid = i.inhparent
 where n.nspname = %(schema)s and c.relkind = 'r'
 order by 1
