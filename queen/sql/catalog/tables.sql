-- Activity and size of the tables of one schema; the children of messages count as one table.
-- Parameters: schema. Returns per table_name: dead_tuples, live_tuples, inserts, updates, hot_updates, deletes,
-- autovacuums (running totals but for the first two), table_bytes with TOAST, index_bytes. Empty without such a
-- schema. Tables written: none.
select regexp_replace(s.relname, '^messages_[0-9]+$', 'messages') as table_name,
       sum(s.n_dead_tup)::bigint as dead_tuples, sum(s.n_live_tup)::bigint as live_tuples,
       sum(s.n_tup_ins)::bigint as inserts, sum(s.n_tup_upd)::bigint as updates,
       sum(s.n_tup_hot_upd)::bigint as hot_updates, sum(s.n_tup_del)::bigint as deletes,
       sum(s.autovacuum_count)::bigint as autovacuums,
       sum(pg_table_size(s.relid))::bigint as table_bytes, sum(pg_indexes_size(s.relid))::bigint as index_bytes
  from pg_stat_user_tables s
 where s.schemaname = %(schema)s
 group by 1
