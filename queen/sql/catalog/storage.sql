-- Storage parameters of the tables of one schema, without the children of messages.
-- Parameters: schema. Returns (table_name, parameters) of tables that have some. Tables written: none.
select c.relname as table_name, array_to_string(c.reloptions, ', ') as parameters
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = %(schema)s and c.relkind in ('r', 'p') and c.reloptions is not null
   and c.relname !~ '^messages_[0-9]+$'
 order by 1
